/**
 * What the wire needs to name a domain. The daemon resolves the uuid alone; name and id are kept for honest
 * arguments and readable messages, and may be stale. Bounded: of events for ever new domains the oldest are forgotten.
 */
import type { VmId } from '../domain/ids.js';
import { MAX_DOMAINS } from './objects.js';
import type { DomainHandle } from './objects.js';

const MAX_HANDLES = 2 * MAX_DOMAINS;

export class DomainHandles {
  readonly #byId = new Map<VmId, DomainHandle>();

  /** A made-up handle for a domain never seen: the daemon knows better. */
  get(id: VmId): DomainHandle {
    return this.#byId.get(id) ?? { name: '', uuid: id, id: -1 };
  }

  put(handle: DomainHandle): void {
    if (this.#byId.get(handle.uuid) === handle) return;
    this.#byId.set(handle.uuid, handle);
    const [oldest] = this.#byId.size > MAX_HANDLES ? this.#byId.keys() : [];
    if (oldest) this.#byId.delete(oldest);
  }

  get size(): number {
    return this.#byId.size;
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
