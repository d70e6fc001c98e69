/**
 * One operation per VM at a time. Holds no VM and knows no verb; the registry carries it so that everybody who
 * changes VMs sees the same locks.
 *
 * Ending a VM goes before everything else: it takes the VM over from whoever has it, since what holds a VM up may be a
 * QEMU that hangs. The other works on without knowing, but its late release frees nothing.
 */
import { VerbError } from '../domain/errors.js';
import type { VmId } from '../domain/ids.js';

interface Hold {
  readonly verb: string;
}

export class OperationLocks {
  readonly #holds = new Map<VmId, Hold>();

  /** The verb that has the VM now. */
  running(id: VmId): string | undefined {
    return this.#holds.get(id)?.verb;
  }

  /**
   * Takes the VM for a verb; the returned function gives it back, and may be called twice.
   * @throws VerbError resourceUnavailable where another operation has it
   */
  take(id: VmId, name: string, verb: string): () => void {
    const other = this.running(id);
    if (other !== undefined) {
      const sentence = `VM ${name} (${id}) is busy: running ${other}; try again when it has ended`;
      throw new VerbError('resourceUnavailable', sentence);
    }
    return this.seize(id, verb);
  }

  /** Takes the VM whoever has it. */
  seize(id: VmId, verb: string): () => void {
    const hold: Hold = { verb };
    this.#holds.set(id, hold);
    return () => {
      if (this.#holds.get(id) === hold) this.#holds.delete(id);
    };
  }
}
