/**
 * What the operations share: their parts, and what a verb answers when the hypervisor fails: an error of the catalogue
 * with a sentence that names the VM and the way out.
 */
import { VerbError } from '../domain/errors.js';
import type { ErrorKey } from '../domain/errors.js';
import { keyOfFailure } from '../domain/hypervisor-failure.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { LaunchFiles } from '../domain/launch-files.js';
import type { Vm } from '../domain/vm.js';
import type { Logger } from '../util/log.js';
import { textOf } from '../util/text.js';
import type { Clock } from '../util/time.js';
import type { Metrics } from '../util/metrics.js';
import type { Jobs } from './jobs.js';
import type { MetadataStore } from './metadata-store.js';
import type { Registry } from './registry.js';
import type { StateFiles } from './state-files.js';
import type { AgentIdentity } from './verbs/agent-identity.js';
import type { ImageFiles } from './verbs/image-files.js';

export interface OperationsParts {
  readonly hypervisor: Hypervisor;
  readonly registry: Registry;
  readonly jobs: Jobs;
  readonly metadata: MetadataStore;
  readonly images: ImageFiles;
  readonly identity: AgentIdentity;
  readonly files: StateFiles;
  readonly host: LaunchFiles;
  /** VMs that are started at a time. */
  readonly parallelStarts: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** False until all VMs are known: verbs answer 99. */
  readonly isReady: () => boolean;
}

export interface OperationRequest {
  readonly id: VmId;
  /** As the caller knows it, e.g. VM.pause. */
  readonly verb: string;
  /** Error for failures of the work itself; default 'general'. */
  readonly otherwise?: ErrorKey;
  /** True: the verb also works on a VM that is Down. */
  readonly evenDown?: boolean;
  /** True: the verb also works while the VM is migrated or saved. */
  readonly evenMigrating?: boolean;
}

const migrating: ReadonlySet<string> = new Set(['Migration Source', 'Migration Destination', 'Saving State']);

/**
 * Runs a verb's work with the VM to itself: checks, takes the VM's lock, and turns what fails into the verb's error.
 * After a failure the VM's state is read again, since the work may have had half of its effect.
 * @throws VerbError recovery, noVM, down, migrationActive, resourceUnavailable (busy, libvirt away), `otherwise`
 */
export async function operate<T>(
  parts: OperationsParts,
  request: OperationRequest,
  task: (vm: Vm) => Promise<T>,
): Promise<T> {
  const { id, verb, otherwise } = request;
  const { vm, release } = claim(parts, request);
  try {
    return await task(vm);
  } catch (error) {
    parts.registry.doubt(id);
    throw verbError(error, vm, verb, otherwise);
  } finally {
    release();
  }
}

/**
 * The checks and the lock alone, for work that outlives its verb's answer. The caller releases.
 * @throws VerbError recovery, noVM, down, migrationActive, resourceUnavailable
 */
export function claim(
  parts: OperationsParts,
  { id, verb, evenDown = false, evenMigrating = false }: OperationRequest,
): { readonly vm: Vm; readonly release: () => void } {
  const { registry, hypervisor } = parts;
  const vm = requireVm(parts, id);
  if (vm.internal === 'Down' && !evenDown) throw new VerbError('down', { vmId: id });
  if (migrating.has(vm.internal) && !evenMigrating) throw new VerbError('migrationActive', { vmId: id });
  if (hypervisor.status.state !== 'open') throw notConnected(vm, hypervisor.status.reason);
  return { vm, release: registry.locks.take(id, vm.name, verb) };
}

/** @throws VerbError recovery, noVM */
export function requireVm({ isReady, registry }: OperationsParts, id: VmId): Vm {
  if (!isReady()) throw new VerbError('recovery');
  const vm = registry.get(id);
  if (!vm) throw new VerbError('noVM', { vmId: id });
  return vm;
}

export type VmName = Pick<Vm, 'id' | 'name'>;

/**
 * @param verb as the caller knows it, e.g. VM.pause
 * @param otherwise the key for failures of the call itself
 */
export function verbError(
  error: unknown,
  vm: VmName,
  verb: string,
  otherwise: ErrorKey = 'general',
): VerbError {
  if (error instanceof VerbError) return error;
  const cause = { cause: error };
  if (!(error instanceof HypervisorError)) {
    return new VerbError(otherwise, `${verb} of ${nameOf(vm)} failed: ${textOf(error)}`, cause);
  }
  const key = keyOfFailure(error.kind, otherwise);
  if (key === 'noVM') return new VerbError('noVM', { vmId: vm.id }, cause);
  return new VerbError(key, sentence(error, vm, verb), cause);
}

export function notConnected(vm: VmName, reason: string | undefined): VerbError {
  const why = reason === undefined ? '' : ` (${reason})`;
  return new VerbError(
    'resourceUnavailable',
    `libvirt is not connected${why}: ${nameOf(vm)} cannot be changed now; try again when it is back`,
  );
}

export function nameOf({ name, id }: VmName): string {
  return `VM ${name} (${id})`;
}

function sentence({ kind, message }: HypervisorError, vm: VmName, verb: string): string {
  switch (kind) {
    case 'unavailable':
      return `libvirt is not connected: ${verb} of ${nameOf(vm)} may not have happened; try again when it is back`;
    case 'timeout':
      return `${verb} of ${nameOf(vm)} got no answer in time; its QEMU may hang (${message})`;
    case 'denied':
      return `libvirt does not allow ${verb} of ${nameOf(vm)} to this agent (${message})`;
    default:
      return `${verb} of ${nameOf(vm)} failed: ${message}`;
  }
}
