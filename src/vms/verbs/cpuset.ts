/** Lists of host CPUs in the kernel's form, `0-3,^2,8`. Pure. */

/** More than any host has; the longest list is a bitmap of 1 KiB. */
const MAX_CPU = 8191;

/** CPU numbers in order, each once; undefined for what is no list or names no CPU. `^n` takes n away. */
export function parseCpuset(text: string): readonly number[] | undefined {
  const cpus = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^\s*(\^)?(\d{1,4})(?:-(\d{1,4}))?\s*$/.exec(part);
    if (!match) return undefined;
    const first = Number(match[2]);
    const last = Number(match[3] ?? match[2]);
    if (first > last || last > MAX_CPU) return undefined;
    for (let cpu = first; cpu <= last; cpu++) {
      if (match[1] === undefined) cpus.add(cpu);
      else cpus.delete(cpu);
    }
  }
  return cpus.size === 0 ? undefined : [...cpus].sort((a, b) => a - b);
}
