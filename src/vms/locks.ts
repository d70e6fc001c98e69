/**
 * One operation per VM at a time. Holds no VM and knows no verb; the registry carries it so that everybody who
 * changes VMs sees the same locks.
 */
import { VerbError } from '../domain/errors.js';
import type { VmId } from '../domain/ids.js';

export class OperationLocks {
  readonly #running = new Map<VmId, string>();

  /** The verb that runs on the VM now. */
  running(id: VmId): string | undefined {
    return this.#running.get(id);
  }

  /**
   * Takes the VM for a verb; the returned function gives it back, and may be called twice.
   * @throws VerbError resourceUnavailable where another operation has it
   */
  take(id: VmId, name: string, verb: string): () => void {
    const other = this.#running.get(id);
    if (other !== undefined) {
      const sentence = `VM ${name} (${id}) is busy: running ${other}; try again when it has ended`;
      throw new VerbError('resourceUnavailable', sentence);
    }
    this.#running.set(id, verb);
    let held = true;
    return () => {
      if (held) this.#running.delete(id);
      held = false;
    };
  }
}
