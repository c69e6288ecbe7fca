/** TO BE REPLACED. */

import { h } from "./element";
import { RUN } from "../resources";
import type { ViewKind } from "./panel";

export const LAYER: ViewKind = {
  create: () => ({ element: h("div", null, "layer"), update() {} }),
  wants: () => [RUN],
};
