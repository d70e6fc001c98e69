/**
 * The other way to start a VM: from the memory that VM.hibernate has saved, instead of by a boot.
 *
 * VM.create does everything around it (record, lock, places, define, events): it asks restoreSourceOf whether this is
 * such a start, has prepareRestore say what to define, and then calls its launch() where it would boot. The files are
 * left alone: who named them removes them.
 */
import { isAbsolute } from 'node:path';
import type { DomainDescription } from '../domain/devices.js';
import { VerbError } from '../domain/errors.js';
import type { CallOptions, Hypervisor } from '../domain/hypervisor.js';
import { defaultGuest } from '../domain/guest-info.js';
import type { VerbInput } from '../protocol/verbs.js';
import { textOf } from '../util/text.js';
import type { Clock } from '../util/time.js';
import { restoredXml } from './restored-xml.js';
import { MAX_SAVED_VM_BYTES, parseSavedVm } from './saved-vm.js';
import type { SavedVm } from './saved-vm.js';
import type { StateFiles } from './state-files.js';
import type { VmFacts } from './registry.js';

/** Where a VM's saved state lies: absolute paths. */
export interface SavedPlace {
  readonly memoryPath: string;
  readonly configurationPath: string;
}

export interface PreparedRestore {
  /** To be defined before launch(): the saved XML with the request's metadata and pinning. */
  readonly xml: string;
  /** Of the record, from when the VM runs: what the configuration file tells. */
  readonly facts: VmFacts & { readonly startedAtMs: number };
  /** Has the guest go on where it was saved. @throws HypervisorError */
  launch(options?: CallOptions): Promise<void>;
}

export interface RestoreParts {
  readonly hypervisor: Pick<Hypervisor, 'saving'>;
  readonly files: Pick<StateFiles, 'read'>;
  readonly clock: Clock;
}

/**
 * Undefined: an ordinary start.
 * @throws VerbError invalidParameter
 */
export function restoreSourceOf({
  memoryDumpVolume,
  memoryConfVolume,
}: VerbInput<'VM.create'>['vmParams']): SavedPlace | undefined {
  if (memoryDumpVolume === undefined) return undefined;
  const memoryPath = pathOf('memoryDumpVolume', memoryDumpVolume);
  const configurationPath =
    memoryConfVolume === undefined
      ? defaultConfigurationPath(memoryPath)
      : pathOf('memoryConfVolume', memoryConfVolume);
  return { memoryPath, configurationPath };
}

export function defaultConfigurationPath(memoryPath: string): string {
  return `${memoryPath}.json`;
}

/**
 * @param request as VM.create has prepared it for libvirt
 * @throws Error with a sentence that names the file at fault; HypervisorError
 */
export async function prepareRestore(
  { hypervisor, files, clock }: RestoreParts,
  { memoryPath, configurationPath }: SavedPlace,
  request: Pick<DomainDescription, 'id' | 'xml'>,
): Promise<PreparedRestore> {
  const saved = await readConfiguration(files, configurationPath);
  if (saved.vmId !== request.id) {
    throw new Error(`${configurationPath} is of another VM: ${saved.name} (${saved.vmId})`);
  }
  const xml = restoredXml(await hypervisor.saving.savedXml(memoryPath), request.xml);
  const { timeOffsetSec, balloonTargetKiB, guest, elapsedSec } = saved;
  return {
    xml,
    facts: {
      startedAtMs: clock.wallMs() - elapsedSec * 1000,
      guest: { ...defaultGuest, ...guest },
      ...(timeOffsetSec !== undefined && { timeOffsetSec }),
      ...(balloonTargetKiB !== undefined && { balloonTargetKiB }),
    },
    launch: (options) => hypervisor.saving.restore(memoryPath, { xml, paused: false }, options),
  };
}

async function readConfiguration(files: RestoreParts['files'], path: string): Promise<SavedVm> {
  const content = await files.read(path, MAX_SAVED_VM_BYTES);
  try {
    return parseSavedVm(content);
  } catch (error) {
    throw new Error(`${path} ${textOf(error)}`, { cause: error });
  }
}

function pathOf(member: string, volume: string | { readonly path: string }): string {
  const path = typeof volume === 'string' ? volume : volume.path;
  if (isAbsolute(path) && !path.includes('\0')) return path;
  throw new VerbError('invalidParameter', `${member} must be the absolute path of a file`);
}
