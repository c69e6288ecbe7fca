/** What the parts of the Probe view share: each run's samples, one axis of steps, one of errors. */

import type { Cams, Predictions, Run } from "../api";
import { runEnd } from "../model/cells";
import { type CurveAxis, curveAxis, type Series, withoutExplosions } from "../model/curve";
import { type Choice, errorOf, type Probe, probeOf } from "../model/probe";
import { CAMS, PREDICTIONS, RUN, slotOf, valueOf } from "../resources";
import type { Slot, State } from "../state";

/** One run. The same object as long as nothing new is known of it. */
export interface Column {
  name: string;
  predictions: Slot<Predictions>;
  cams: Slot<Cams>;
  /** Why the recording cannot be read, if so. */
  error: string | null;
  probe: Probe | null;
  /** Tells of the whole probe set, of which some samples are followed. */
  run: Run | undefined;
}

export interface Drawing extends Pick<Choice, "target" | "scale"> {
  /** Every step at which some run was looked at. */
  steps: number[];
  /** The end of the axis of steps. */
  end: number;
  /** Of the sizes of errors. */
  errors: CurveAxis;
  /** Whether some sample has an image. */
  pictured: boolean;
}

export function columnOf(state: State, name: string, before: Column | undefined): Column {
  const predictions = slotOf(state, name, PREDICTIONS);
  const cams = slotOf(state, name, CAMS);
  const error = state.runs?.find((run) => run.run === name)?.error ?? null;
  const run = valueOf(state, name, RUN);
  const same =
    before?.name === name &&
    before.error === error &&
    before.run === run &&
    isSame(before.predictions, predictions) &&
    isSame(before.cams, cams);
  if (same) return before;
  const ready = isAnswered(predictions) && isAnswered(cams); // else samples would come in two lots
  const probe = ready ? probeOf(predictions.value, cams.value) : null;
  return { name, predictions, cams, error, probe, run };
}

const isSame = (one: Slot<unknown>, other: Slot<unknown>) =>
  one.value === other.value && one.failure === other.failure;

export const isAnswered = ({ value, failure }: Slot<unknown>) =>
  value !== undefined || failure !== undefined;

export function drawingOf(columns: readonly Column[], { target, scale }: Choice): Drawing {
  const probes = columns.flatMap(({ probe }) => probe ?? []);
  const samples = (of: readonly Probe[]) => of.flatMap((probe) => [...probe.samples.values()]);
  const sizes = samples(probes.filter(({ kind }) => kind === "values")).map((sample) =>
    sample.looks.map((_, i) => absolute(errorOf(sample, i))),
  );
  return {
    steps: [...new Set(probes.flatMap(({ steps }) => steps))].sort((a, b) => a - b),
    end: Math.max(1, ...probes.map(({ steps }) => runEnd(steps))),
    errors: errorAxis(sizes),
    pictured: samples(probes).some(({ image }) => image >= 0),
    target,
    scale,
  };
}

/** From 0, so that heights compare; what explodes leaves it at the top. */
function errorAxis(sizes: readonly Series[]): CurveAxis {
  const most = withoutExplosions(sizes).flat().reduce((a: number, b) => Math.max(a, b ?? 0), 0);
  return curveAxis(sizes, [0, most || 1]);
}

export const absolute = (error: number | null) => (error === null ? null : Math.abs(error));
