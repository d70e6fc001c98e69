/**
 * What the wire needs to name a domain. The daemon resolves the uuid alone; name and id are kept for honest
 * arguments and readable messages, and may be stale.
 */
import type { VmId } from '../domain/ids.js';
import type { DomainHandle } from './objects.js';

export class DomainHandles {
  #byId = new Map<VmId, DomainHandle>();

  /** A made-up handle for a domain never seen: the daemon knows better. */
  get(id: VmId): DomainHandle {
    return this.#byId.get(id) ?? { name: '', uuid: id, id: -1 };
  }

  put(handle: DomainHandle): void {
    this.#byId.set(handle.uuid, handle);
  }

  forget(id: VmId): void {
    this.#byId.delete(id);
  }

  /** A fresh list is the whole truth: what it lacks is forgotten. */
  replaceAll(handles: readonly DomainHandle[]): void {
    this.#byId = new Map(handles.map((handle) => [handle.uuid, handle]));
  }
}
