/** TO BE REPLACED. */

import { h } from "./element";
import { RUN } from "../resources";
import type { ViewKind } from "./panel";

export const MODEL: ViewKind = {
  create: () => ({ element: h("div", null, "model"), update() {} }),
  wants: () => [RUN],
};
