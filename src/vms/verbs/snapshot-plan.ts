/**
 * What a caller's VM.snapshot means for the disks that the VM has now. Pure.
 */
import { dirname, isAbsolute, join } from 'node:path';
import type { DiskDevice, DomainDescription } from '../../domain/devices.js';
import { VerbError } from '../../domain/errors.js';
import type { VerbInput } from '../../protocol/verbs.js';
import { nameOf } from '../operation.js';
import { lastPart } from './disk-chain.js';
import { requireDrive } from './find-drive.js';

/** A disk, what it writes to now, and what it is to go on with. */
export interface PlannedFile {
  readonly disk: string;
  readonly source: string;
  readonly path: string;
}

export interface SnapshotPlan {
  readonly files: readonly PlannedFile[];
  /** Target names of the disks that stay as they are. */
  readonly others: readonly string[];
  readonly memoryPath: string | undefined;
  readonly freeze: boolean;
  readonly timeoutMs: number;
  readonly freezeTimeoutMs: number;
}

type SnapshotInput = Omit<VerbInput<'VM.snapshot'>, 'vmID'>;
type SnapDrive = SnapshotInput['snapDrives'][number];

const MINUTE_MS = 60_000;
/** A timer's longest delay is 24 days. */
const MAX_MINUTES = 7 * 24 * 60;

/** @throws VerbError invalidParameter */
export function checkTimeouts({ timeout, freeze_timeout: freezeTimeout }: SnapshotInput): void {
  for (const [name, minutes] of Object.entries({ timeout, freeze_timeout: freezeTimeout })) {
    if (minutes <= 0 || minutes > MAX_MINUTES) {
      throw new VerbError(
        'invalidParameter',
        `${name} is ${minutes}; it has to be 1 to ${MAX_MINUTES} minutes`,
      );
    }
  }
}

/**
 * Disks that write to the wanted file already are left out: the same snapshot was asked for twice.
 * @param running the guest's CPUs run
 * @throws VerbError imageErr (no such drive), missParam, invalidParameter
 */
export function planSnapshot(
  domain: DomainDescription,
  input: SnapshotInput,
  running: boolean,
): SnapshotPlan {
  checkTimeouts(input);
  const { snapDrives, snapMemory = '', frozen, timeout, freeze_timeout: freezeTimeout } = input;
  const named = snapDrives.map((drive) => plannedFile(domain, drive));
  const disks = new Set(named.map(({ disk }) => disk));
  if (disks.size < named.length) throw invalid(domain, 'a drive is named twice in snapDrives');
  const files = named.filter(({ source, path }) => source !== path);
  const inUse = new Set(domain.disks.map(({ source }) => source));
  for (const { path } of files) {
    if (inUse.has(path)) throw invalid(domain, `another disk uses ${path}`);
    inUse.add(path);
  }
  if (snapMemory !== '' && (!isAbsolute(snapMemory) || inUse.has(snapMemory))) {
    throw invalid(domain, `snapMemory '${snapMemory}' is not the absolute path of a file of its own`);
  }
  const memoryPath = snapMemory === '' ? undefined : snapMemory;
  const taken = new Set(files.map(({ disk }) => disk));
  return {
    files,
    others: domain.disks.map(({ target }) => target).filter((target) => !taken.has(target)),
    memoryPath,
    // libvirt stops the guest's CPUs while it writes the memory, which has what is not on the disks.
    freeze: !frozen && running && memoryPath === undefined && domain.guestAgentConnected,
    timeoutMs: timeout * MINUTE_MS,
    freezeTimeoutMs: freezeTimeout * MINUTE_MS,
  };
}

function plannedFile(domain: DomainDescription, drive: SnapDrive): PlannedFile {
  // Here it is the new file's, not the drive's.
  const { path: wanted, ...spec } = drive;
  const disk = requireDrive(domain, spec, 'imageErr');
  const { target, source, device } = disk;
  if (source === '' || device === 'cdrom' || device === 'floppy') {
    throw invalid(domain, `${target} has no image to be continued`);
  }
  const path = newPath(domain, disk, wanted ?? spec['volumeID']);
  if (path !== source) checkBase(domain, disk, spec['baseVolumeID']);
  return { disk: target, source, path };
}

/** VDSM's form says which volume the caller believes to be in use. */
function checkBase(domain: DomainDescription, { target, source }: DiskDevice, base: unknown): void {
  if (typeof base !== 'string' || base === '' || lastPart(source) === base) return;
  throw new VerbError('imageErr', `${target} of ${nameOf(domain)} writes to ${source}, not to ${base}`);
}

function newPath(domain: DomainDescription, { target, source }: DiskDevice, wanted: unknown): string {
  if (typeof wanted !== 'string' || wanted === '') {
    throw new VerbError('missParam', `snapDrives: path (or volumeID) of the new file of ${target}`);
  }
  if (isAbsolute(wanted)) return wanted;
  if (lastPart(wanted) !== wanted || wanted === '.' || wanted === '..') {
    throw invalid(domain, `'${wanted}' is neither an absolute path nor a file's name`);
  }
  return join(dirname(source), wanted);
}

function invalid(domain: DomainDescription, what: string): VerbError {
  return new VerbError('invalidParameter', `VM.snapshot of ${nameOf(domain)}: ${what}`);
}
