/**
 * What an engine computes from polled records: CPU in per cent of the VM, memory, and NIC rates from two records. Pure.
 *
 * Records come from outside, so a missing or unreadable member gives undefined, never NaN.
 */
export type VmRecord = Readonly<Record<string, unknown>>;

/** Load of all vCPUs together, whole per cent, 0-100: (cpuUser + cpuSys) / vCPUs, as an engine shows it. */
export function cpuPercent(record: VmRecord): number | undefined {
  const user = asNumber(record['cpuUser']);
  const system = asNumber(record['cpuSys']);
  const vcpus = asNumber(record['vcpuCount']);
  if (user === undefined || system === undefined || vcpus === undefined || vcpus < 1) return undefined;
  return Math.min(100, Math.trunc((user + system) / vcpus));
}

/** Memory the guest has now (the balloon's size), KiB. */
export function memoryKiB(record: VmRecord): number | undefined {
  const balloon = asRecord(record['balloonInfo']);
  const current = asNumber(balloon?.['balloon_cur']);
  // 0 stands for "not known": no guest runs in no memory.
  return current === undefined || current === 0 ? asNumber(balloon?.['balloon_max']) : current;
}

/** Per cent of memory in use; undefined where no driver in the guest tells. */
export function memoryPercent(record: VmRecord): number | undefined {
  const usage = asNumber(record['memUsage']);
  return usage === 0 && record['memoryStats'] === undefined ? undefined : usage;
}

export interface NicRate {
  /** Host device. */
  readonly name: string;
  readonly rxBytesPerSec: number;
  readonly txBytesPerSec: number;
}

/**
 * Rates of the NICs that both records have, over the difference of their sampleTime (s). Left out: NICs whose
 * counters went backwards, and pairs of the same sample.
 */
export function nicRates(before: VmRecord, after: VmRecord): NicRate[] {
  const old = asRecord(before['network']) ?? {};
  return Object.entries(asRecord(after['network']) ?? {}).flatMap(([name, value]) => {
    const [from, to] = [asRecord(old[name]), asRecord(value)];
    const seconds = difference(from, to, 'sampleTime');
    const rx = difference(from, to, 'rx');
    const tx = difference(from, to, 'tx');
    if (seconds === undefined || rx === undefined || tx === undefined) return [];
    if (seconds <= 0 || rx < 0 || tx < 0) return [];
    return [{ name, rxBytesPerSec: rx / seconds, txBytesPerSec: tx / seconds }];
  });
}

/** Most figures travel as text. */
export function asNumber(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

function asRecord(value: unknown): VmRecord | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as VmRecord)
    : undefined;
}

function difference(from: VmRecord | undefined, to: VmRecord | undefined, key: string): number | undefined {
  const [old, now] = [asNumber(from?.[key]), asNumber(to?.[key])];
  return old === undefined || now === undefined ? undefined : now - old;
}
