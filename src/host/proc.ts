/**
 * The kernel's text files, parsed. Pure; whoever reads the files passes the text. Lines that are not understood
 * are left out, since kernels add fields; nothing here throws.
 */

/** One logical CPU of /proc/cpuinfo. */
export interface CpuinfoEntry {
  readonly processor: number;
  readonly model: string;
  readonly mhz: string;
  readonly flags: readonly string[];
  /** Undefined where the kernel tells no topology (some guests and architectures). */
  readonly socket: number | undefined;
  readonly core: number | undefined;
}

export function parseCpuinfo(text: string): CpuinfoEntry[] {
  return text.split(/\n\s*\n/).flatMap((block) => {
    const fields = keyValues(block, ':');
    const processor = integer(fields.get('processor'));
    if (processor === undefined) return [];
    return {
      processor,
      model: fields.get('model name') ?? fields.get('cpu') ?? '',
      mhz: fields.get('cpu MHz') ?? '',
      flags: (fields.get('flags') ?? fields.get('Features') ?? '').split(/\s+/).filter(Boolean),
      socket: integer(fields.get('physical id')),
      core: integer(fields.get('core id')),
    };
  });
}

/** Values in KiB (or plain counts) by name; also a node's meminfo, whose lines begin with `Node 0`. */
export function parseMeminfo(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const match of text.matchAll(/^(?:Node \d+ )?([\w()]+):\s+(\d+)/gm))
    values.set(match[1]!, Number(match[2]));
  return values;
}

/** CPU time since boot in the kernel's ticks; guest time is within user and nice. */
export interface CpuTicks {
  readonly user: number;
  readonly system: number;
  readonly idle: number;
  /** All of it, waiting and stolen time included. */
  readonly total: number;
}

export interface ProcStat {
  readonly all: CpuTicks;
  /** By number; CPUs that are offline are absent. */
  readonly cpus: ReadonlyMap<number, CpuTicks>;
  /** Epoch seconds. */
  readonly bootTimeSec: number | undefined;
}

export function parseStat(text: string): ProcStat {
  const cpus = new Map<number, CpuTicks>();
  let all: CpuTicks = { user: 0, system: 0, idle: 0, total: 0 };
  for (const match of text.matchAll(/^cpu(\d*) +([\d ]+)$/gm)) {
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = match[2]!
      .trim()
      .split(/ +/)
      .map(Number);
    const ticks: CpuTicks = {
      user: user + nice,
      system: system + irq + softirq,
      idle: idle + iowait,
      total: user + nice + system + irq + softirq + idle + iowait + steal,
    };
    if (match[1] === '') all = ticks;
    else cpus.set(Number(match[1]), ticks);
  }
  return { all, cpus, bootTimeSec: integer(/^btime (\d+)$/m.exec(text)?.[1]) };
}

export interface NetCounters {
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/** Counters of /proc/net/dev by interface. */
export function parseNetDev(text: string): ReadonlyMap<string, NetCounters> {
  const interfaces = new Map<string, NetCounters>();
  for (const match of text.matchAll(/^\s*([^\s:|]+(?::\d+)?):\s*([\d ]+)$/gm)) {
    const n = match[2]!.trim().split(/ +/).map(Number);
    if (n.length < 12) continue;
    interfaces.set(match[1]!, {
      rxBytes: n[0]!,
      rxErrors: n[2]!,
      rxDropped: n[3]!,
      txBytes: n[8]!,
      txErrors: n[10]!,
      txDropped: n[11]!,
    });
  }
  return interfaces;
}

/** IPv4 default gateway by interface, from /proc/net/route: addresses are hexadecimal in the host's byte order. */
export function parseDefaultGateways(text: string): ReadonlyMap<string, string> {
  const gateways = new Map<string, string>();
  for (const line of text.split('\n').slice(1)) {
    const [name, destination, gateway, flags] = line.split('\t').map((field) => field.trim());
    const RTF_GATEWAY = 2;
    if (name === undefined || destination !== '00000000' || !/^[0-9a-f]{8}$/i.test(gateway ?? '')) continue;
    if ((parseInt(flags ?? '0', 16) & RTF_GATEWAY) === 0 || gateways.has(name)) continue;
    const bytes = Buffer.from(gateway!, 'hex');
    gateways.set(name, [...bytes.reverse()].join('.'));
  }
  return gateways;
}

/** Device and tag by VLAN interface, from /proc/net/vlan/config. */
export function parseVlans(
  text: string,
): ReadonlyMap<string, { readonly iface: string; readonly tag: number }> {
  const vlans = new Map<string, { iface: string; tag: number }>();
  for (const match of text.matchAll(/^(\S+)\s*\|\s*(\d+)\s*\|\s*(\S+)\s*$/gm)) {
    vlans.set(match[1]!, { tag: Number(match[2]), iface: match[3]! });
  }
  return vlans;
}

/** A list like `0-3,8`. */
export function parseCpuList(text: string): number[] {
  return text
    .trim()
    .split(',')
    .flatMap((range) => {
      const [first, last = first] = range.split('-').map((bound) => integer(bound.trim()));
      if (first === undefined || last === undefined || last - first > 65_535) return [];
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => first + n);
    });
}

/** /etc/os-release: shell assignments, quoted or not. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const unquoted = (value: string): string =>
    value.replace(/^(["'])(.*)\1$/, '$2').replace(/\\(["'$`\\])/g, '$1');
  return new Map([...keyValues(text, '=')].map(([key, value]) => [key, unquoted(value)]));
}

/** Addresses of the `nameserver` lines of resolv.conf. */
export function parseNameservers(text: string): string[] {
  return [...text.matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1]!);
}

/** The choice in brackets of a sysfs file like `always [madvise] never`. */
export function selectedChoice(text: string): string | undefined {
  return /\[([^\]]+)\]/.exec(text)?.[1];
}

/** A whole number of decimal digits, or undefined. */
export function integer(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? '';
  return /^-?\d{1,15}$/.test(trimmed) ? Number(trimmed) : undefined;
}

function keyValues(text: string, separator: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf(separator);
    if (at > 0 && !line.startsWith('#')) values.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  return values;
}
