/**
 * What is remembered of the merges under way, in the metadata value `jobs` as VDSM has it (JSON, by job id): enough for the
 * next agent to follow them and to bring them to their end. Pure.
 */

/** A commit of `top` into `base`, both as the disk's chain has them. */
export interface Merge {
  readonly id: string;
  /** Target name of the disk. */
  readonly drive: string;
  readonly imageId?: string | undefined;
  readonly base: string;
  readonly top: string;
  /** `top` is what the guest writes to: at the end it is to write to `base`. */
  readonly active: boolean;
  /** 0 is no limit. */
  readonly bandwidthMiB: number;
}

const MAX_MERGES = 100;

/** Undefined for none: the value is taken away. */
export function mergesText(merges: readonly Merge[]): string | undefined {
  if (merges.length === 0) return undefined;
  const entries = merges.map(({ id, drive, imageId, base, top, active, bandwidthMiB: bandwidth }) => [
    id,
    { id, drive, imgUUID: imageId, base, top, active, bandwidth },
  ]);
  return JSON.stringify(Object.fromEntries(entries));
}

/** Without what this agent has not written; undefined for what is no such text at all. */
export function parseMerges(text: string): readonly Merge[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.values(value)
    .slice(0, MAX_MERGES)
    .flatMap((entry) => mergeOf(entry) ?? []);
}

function mergeOf(value: unknown): Merge | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, drive, imgUUID, base, top, active, bandwidth } = value as Readonly<Record<string, unknown>>;
  if (!isText(id) || !isText(drive) || !isText(base) || !isText(top)) return undefined;
  if (typeof active !== 'boolean' || typeof bandwidth !== 'number') return undefined;
  return {
    id,
    drive,
    base,
    top,
    active,
    bandwidthMiB: bandwidth,
    ...(isText(imgUUID) && { imageId: imgUUID }),
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
