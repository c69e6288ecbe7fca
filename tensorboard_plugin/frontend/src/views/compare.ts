/** TO BE REPLACED. */

import { h } from "./element";
import { RUN } from "../resources";
import type { ViewKind } from "./panel";

export const COMPARE: ViewKind = {
  create: () => ({ element: h("div", null, "compare"), update() {} }),
  wants: () => [RUN],
};
