/** Returns what tells whether any value is another one than when it was asked last. */
export function watch(): (...values: unknown[]) => boolean {
  let last: unknown[] | null = null;
  return (...values) => {
    const before = last;
    last = values;
    return before?.length !== values.length || values.some((value, i) => !Object.is(value, before[i]));
  };
}

/** Gives what was made at a place, for as long as all that it was made of is the same. */
export type Keep = <T>(place: string, of: readonly unknown[], make: () => T) => T;

export function keeper(): Keep {
  const kept = new Map<string, { isOther: (...of: unknown[]) => boolean; made: unknown }>();
  return <T>(place: string, of: readonly unknown[], make: () => T): T => {
    const known = kept.get(place) ?? { isOther: watch(), made: undefined };
    if (known.isOther(...of)) known.made = make();
    kept.set(place, known);
    return known.made as T;
  };
}

/** The same function, worked out once for each object that it is asked about. */
export function remember<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, V>();
  return (key) => {
    if (!known.has(key)) known.set(key, make(key));
    return known.get(key)!;
  };
}
