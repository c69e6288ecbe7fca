/** TO BE REPLACED. */

import { h } from "./element";
import { RUN } from "../resources";
import type { ViewKind } from "./panel";

export const PROBE: ViewKind = {
  create: () => ({ element: h("div", null, "probe"), update() {} }),
  wants: () => [RUN],
};
