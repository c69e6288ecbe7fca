/** How a run's likely cause led to its troubles, one event a line. */

import type { Run, Severity } from "../api";
import { worstSeverity } from "./health";

export interface Link {
  /** Null where the record is too coarse to say which came first. */
  step: number | null;
  /** That of the finding; null for a clue, of which no rule makes a finding. */
  severity: Severity | null;
  text: string;
}

/** From the cause to its last consequence; empty where the cause led to nothing else. */
export function chainOf({ diagnosis, findings }: Run): Link[] {
  const chain = diagnosis?.chain ?? [];
  if (chain.length < 2) return [];
  return chain.map(({ rule, layers, step, text }, i) => {
    const own = findings.filter(
      (f) => f.rule === rule && (f.layer === null || layers.length === 0 || layers.includes(f.layer)),
    );
    const known = i === 0 || step >= chain[i - 1]!.step;
    return {
      step: known ? step : null,
      severity: worstSeverity(own),
      text: known ? withoutStep(text, step) : text,
    };
  });
}

/** The step stands beside the text: "NaN in conv_1, step 157" need not say it again. */
function withoutStep(text: string, step: number): string {
  return text.replace(new RegExp(`,?(?: since| by| at)? step ${step}(?!\\d)`), "");
}
