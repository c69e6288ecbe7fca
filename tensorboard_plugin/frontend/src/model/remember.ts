/** Returns what tells whether any value is another one than when it was asked last. */
export function watch(): (...values: unknown[]) => boolean {
  let last: unknown[] | null = null;
  return (...values) => {
    const before = last;
    last = values;
    return before?.length !== values.length || values.some((value, i) => value !== before[i]);
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
