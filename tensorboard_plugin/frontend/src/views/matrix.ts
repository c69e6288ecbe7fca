/** TO BE REPLACED. */

import { h } from "./element";
import { RUN } from "../resources";
import type { ViewKind } from "./panel";

export const RULES: ViewKind = {
  create: () => ({ element: h("div", null, "rules"), update() {} }),
  wants: () => [RUN],
};
