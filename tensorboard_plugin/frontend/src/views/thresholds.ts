/** TO BE REPLACED. */

import { h } from "./element";
import { RUN } from "../resources";
import type { ViewKind } from "./panel";

export const THRESHOLDS: ViewKind = {
  create: () => ({ element: h("div", null, "thresholds"), update() {} }),
  wants: () => [RUN],
};
