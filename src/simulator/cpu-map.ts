/** Bit maps of host CPUs, as calls carry them, and lists such as '0-2,5', as domain XML has them. */

/** CPU 0 is bit 0 of byte 0. '' for a map without bits. */
export function cpuListOf(map: Uint8Array): string {
  const ranges: string[] = [];
  let from = -1;
  for (let cpu = 0; cpu <= map.length * 8; cpu++) {
    const isSet = (((map[cpu >> 3] ?? 0) >> (cpu & 7)) & 1) === 1;
    if (isSet && from < 0) from = cpu;
    if (isSet || from < 0) continue;
    ranges.push(from === cpu - 1 ? String(from) : `${from}-${cpu - 1}`);
    from = -1;
  }
  return ranges.join(',');
}

/** @param list absent: all CPUs */
export function cpuMapOf(list: string | undefined, bytes: number): Buffer {
  if (list === undefined) return Buffer.alloc(bytes, 0xff);
  const map = Buffer.alloc(bytes);
  for (const range of list.split(',')) {
    const [from = NaN, to = from] = range.split('-').map(Number);
    for (let cpu = from; cpu <= to && cpu < bytes * 8; cpu++) map[cpu >> 3]! |= 1 << (cpu & 7);
  }
  return map;
}
