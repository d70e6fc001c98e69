/**
 * VM.hibernate: the memory to a file, what a start needs besides to another (saved-vm.ts), and the VM Down with 0/5.
 * restore.ts brings it back.
 *
 * The configuration is written first: with the end of the save libvirt announces the VM's stop, and whoever hears of it
 * may start the VM elsewhere at once, or find this agent gone. Both files are made, empty, when the verb is accepted, so
 * that no other save can take their names. After a failure they are removed, unless nobody can tell what became of the
 * save: then they stay and the log names them.
 */
import { isAbsolute } from 'node:path';
import { VerbError } from '../../domain/errors.js';
import { HypervisorError } from '../../domain/hypervisor.js';
import type { DomainState } from '../../domain/hypervisor.js';
import { parseVmId } from '../../domain/ids.js';
import type { VmId } from '../../domain/ids.js';
import type { Vm } from '../../domain/vm.js';
import { causesOfFound } from '../../domain/vm-found.js';
import { textOf } from '../../util/text.js';
import { claim, nameOf, requireVm, verbError } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { isBeingStarted } from '../refresher.js';
import { defaultConfigurationPath } from '../restore.js';
import type { SavedPlace } from '../restore.js';
import { savedVm, savedVmText } from '../saved-vm.js';
import type { Shutdowns } from './shutdown.js';

const VERB = 'VM.hibernate';

/**
 * Resolves when the save is accepted: status Saving State. What comes of it is told by events.
 * @param handle path of the memory file, and after a comma that of the configuration
 * @throws VerbError noVM (also for a VM that does not run, as VDSM has it), noimpl (volumes of a storage pool),
 *   invalidParameter (paths that cannot be used), migrationActive, resourceUnavailable, recovery
 */
export async function hibernate(
  parts: OperationsParts,
  shutdowns: Pick<Shutdowns, 'cancel'>,
  id: VmId,
  handle: string,
): Promise<void> {
  const { registry, files } = parts;
  const present = requireVm(parts, id);
  if (present.internal === 'Down' || isBeingStarted(present)) throw new VerbError('noVM', { vmId: id });
  const place = savedPlaceOf(handle);
  const { vm, release } = claim(parts, { id, verb: VERB });
  try {
    await reserve(files, place);
  } catch (error) {
    release();
    throw new VerbError('invalidParameter', `${nameOf(vm)} cannot be saved there: ${textOf(error)}`);
  }
  shutdowns.cancel(id);
  const after = registry.change(id, { causes: ['shutdown-given-up', 'save-begun'] });
  if (after?.internal !== 'Saving State') {
    await removeFiles(parts, vm, place);
    release();
    throw new VerbError('noVM', { vmId: id });
  }
  void save(parts, after, place).finally(release);
}

/**
 * Ends a save under way: the VM goes on. VDSM's VM.migrateCancel does that, too.
 * @throws VerbError migCancelErr where there is none, resourceUnavailable
 */
export async function cancelHibernation(parts: OperationsParts, id: VmId): Promise<void> {
  const vm = requireVm(parts, id);
  if (vm.internal !== 'Saving State') throw new VerbError('migCancelErr', { vmId: id });
  try {
    await parts.hypervisor.saving.abortJob(id);
  } catch (error) {
    const isOver = error instanceof HypervisorError && error.kind === 'invalid-state';
    throw isOver ? new VerbError('migCancelErr', { vmId: id }) : verbError(error, vm, 'VM.migrateCancel');
  }
}

async function save(parts: OperationsParts, vm: Vm, place: SavedPlace): Promise<void> {
  const { hypervisor, registry, files, clock, log } = parts;
  const { id, name } = vm;
  const fields = { vmId: id, name, ...place };
  try {
    const { xml } = await hypervisor.describe(id);
    const text = savedVmText(savedVm(registry.get(id) ?? vm, xml, clock.wallMs()));
    await files.replace(place.configurationPath, text);
    await hypervisor.saving.save(id, place.memoryPath);
    registry.move(id, 'stopped-saved');
    log.info(fields, 'The memory of a VM was saved');
  } catch (error) {
    const state = await stateAfter(parts, id);
    if (state === undefined) {
      log.error({ ...fields, err: error }, 'It is not known whether a VM was saved: its files are left');
    } else if (state.state === 'shutoff' && state.reason === 'saved') {
      registry.move(id, 'stopped-saved');
    } else {
      log.warn({ ...fields, err: error }, 'A VM could not be saved');
      await removeFiles(parts, vm, place);
      registry.change(id, { causes: ['save-failed', ...causesOfFound(state)] });
    }
    registry.doubt(id);
  }
}

/** Undefined where it cannot be had, or where the save goes on although its call has ended. */
async function stateAfter({ hypervisor }: OperationsParts, id: VmId): Promise<DomainState | undefined> {
  try {
    const job = await hypervisor.activeJob(id).catch((error: unknown) => {
      if (error instanceof HypervisorError && lacksJob.has(error.kind)) return undefined;
      throw error;
    });
    return job === 'save' ? undefined : await hypervisor.domainState(id);
  } catch (error) {
    const isGone = error instanceof HypervisorError && error.kind === 'no-domain';
    return isGone ? { state: 'shutoff', reason: 'unknown' } : undefined;
  }
}
const lacksJob: ReadonlySet<string> = new Set(['invalid-state', 'unsupported', 'no-domain']);

async function reserve(files: OperationsParts['files'], place: SavedPlace): Promise<void> {
  await files.reserve(place.memoryPath);
  try {
    await files.reserve(place.configurationPath);
  } catch (error) {
    await files.remove(place.memoryPath);
    throw error;
  }
}

async function removeFiles(
  { files, log }: OperationsParts,
  { id, name }: Vm,
  place: SavedPlace,
): Promise<void> {
  for (const path of [place.memoryPath, place.configurationPath]) {
    await files.remove(path).catch((error: unknown) => {
      log.warn({ vmId: id, name, path, err: error }, 'A file of a save that failed could not be removed');
    });
  }
}

/** An engine names two volumes of a storage pool: domain, pool, image and volume, and once more image and volume. */
const HANDLE_PARTS = 6;

function savedPlaceOf(handle: string): SavedPlace {
  const parts = handle.split(',').map((part) => part.trim());
  if (parts.length === HANDLE_PARTS && parts.every((part) => parseVmId(part) !== undefined)) {
    const sentence =
      'the handle names volumes of a storage pool, which this agent does not have; name files: /path/memory,/path/configuration';
    throw new VerbError('noimpl', sentence);
  }
  const [memoryPath = '', configurationPath = defaultConfigurationPath(memoryPath), ...rest] = parts;
  const usable = [memoryPath, configurationPath].every((path) => isAbsolute(path) && !path.includes('\0'));
  if (!usable || rest.length > 0 || memoryPath === configurationPath) {
    const sentence =
      'hibernationVolHandle must be one absolute path, or two different ones with a comma between';
    throw new VerbError('invalidParameter', sentence);
  }
  return { memoryPath, configurationPath };
}
