/**
 * What the wire needs to name a domain. The daemon resolves the uuid alone; name and id are kept for honest
 * arguments and readable messages, and may be stale.
 */
import type { VmId } from '../domain/ids.js';
import type { DomainHandle } from './objects.js';

export class DomainHandles {
  readonly #byId = new Map<VmId, DomainHandle>();

  /** A made-up handle for a domain never seen: the daemon knows better. */
  get(id: VmId): DomainHandle {
    return this.#byId.get(id) ?? { name: '', uuid: id, id: -1 };
  }

  put(handle: DomainHandle): void {
    if (this.#byId.get(handle.uuid) !== handle) this.#byId.set(handle.uuid, handle);
  }

  forget(id: VmId): void {
    this.#byId.delete(id);
  }

  /** After a fresh list, which is the whole truth: what it lacks is forgotten. */
  keepOnly(listed: readonly DomainHandle[]): void {
    if (this.#byId.size <= listed.length) return;
    const ids = new Set(listed.map(({ uuid }) => uuid));
    for (const id of this.#byId.keys()) if (!ids.has(id)) this.#byId.delete(id);
  }
}
