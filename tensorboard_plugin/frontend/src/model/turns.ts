/** Work that is done one by one, each in a turn of its own. */

/**
 * Returns what lets work wait for its turn, however often it is asked for until then.
 *
 * @param ask for the next turn.
 */
export function turns(ask: (next: () => void) => void): (work: () => void) => void {
  const waiting = new Set<() => void>();
  const next = () => {
    const [work] = waiting;
    waiting.delete(work!);
    if (waiting.size > 0) ask(next); // first: work that fails must not stop the others
    work!();
  };
  return (work) => {
    if (waiting.size === 0) ask(next);
    waiting.add(work);
  };
}
