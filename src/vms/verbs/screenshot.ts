/**
 * A picture of a VM's screen. It changes nothing, so it does not wait for the VM's other work; a few at a time, since
 * each is megabytes.
 */
import { VerbError } from '../../domain/errors.js';
import type { VmId } from '../../domain/ids.js';
import type { VerbResult } from '../../protocol/verbs.js';
import { nameOf, notConnected, requireVm, verbError } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { Slots } from '../parallel.js';

const VERB = 'VM.screenshot';
const PARALLEL = 2;
const MAX_WAITING = 20;
const DEADLINE_MS = 20_000;
/** An uncompressed 4K screen has 25 MB; base64 makes it a third more, and a session's queue ends at 64 MiB. */
const MAX_BYTES = 32 * 1024 * 1024;

export class Screenshots {
  readonly #slots = new Slots(PARALLEL);
  #count = 0;

  constructor(private readonly parts: OperationsParts) {}

  /** @throws VerbError noVM, down, resourceUnavailable, operationNotSupported (no screen), general */
  async take(id: VmId): Promise<VerbResult<'VM.screenshot'>> {
    const { hypervisor } = this.parts;
    const vm = requireVm(this.parts, id);
    if (vm.internal === 'Down' || vm.internal === 'WaitForLaunch') throw new VerbError('down', { vmId: id });
    if (hypervisor.status.state !== 'open') throw notConnected(vm, hypervisor.status.reason);
    if (this.#count >= PARALLEL + MAX_WAITING) {
      throw new VerbError('resourceUnavailable', `${MAX_WAITING} screenshots are waiting already; try later`);
    }
    this.#count++;
    try {
      const options = { deadlineMs: DEADLINE_MS };
      const { mimeType, data } = await this.#slots.run(() => hypervisor.devices.screenshot(id, options));
      if (data.length > MAX_BYTES) {
        throw new VerbError(
          'general',
          `the screen of ${nameOf(vm)} has ${data.length} bytes, too many to send`,
        );
      }
      return { data: data.toString('base64'), encoding: 'base64', mime_type: mimeType };
    } catch (error) {
      throw verbError(error, vm, VERB);
    } finally {
      this.#count--;
    }
  }
}
