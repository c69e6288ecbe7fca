/** TO BE REPLACED. */

import { h } from "./element";
import { RUN } from "../resources";
import type { ViewKind } from "./panel";

export const COST: ViewKind = {
  create: () => ({ element: h("div", null, "cost"), update() {} }),
  wants: () => [RUN],
};
