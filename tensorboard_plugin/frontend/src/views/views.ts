/** Each view's name to how it is made. */

import { COMPARE } from "./compare";
import { COST } from "./cost";
import { DIAGNOSIS } from "./diagnosis";
import { LAYER } from "./layer";
import { RULES } from "./matrix";
import { MODEL } from "./model";
import type { ViewName } from "./names";
import type { ViewKind } from "./panel";
import { PROBE } from "./probe";
import { THRESHOLDS } from "./thresholds";

export const KINDS: Record<ViewName, ViewKind> = {
  diagnosis: DIAGNOSIS,
  rules: RULES,
  layer: LAYER,
  model: MODEL,
  probe: PROBE,
  compare: COMPARE,
  thresholds: THRESHOLDS,
  cost: COST,
};
