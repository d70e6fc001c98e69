/**
 * The domains that a host knows: found by uuid, names unique. Also what may be defined beside those that are there.
 */
import { parseVmId } from '../domain/ids.js';
import type { VmId } from '../domain/ids.js';
import type { SimulatedDomain } from './domain.js';
import type { DomainConfig } from './domain-config.js';
import { parseDomain } from './domain-parse.js';
import { Fault } from './fault.js';

export class DomainSet {
  readonly #byId = new Map<VmId, SimulatedDomain>();
  readonly #byName = new Map<string, SimulatedDomain>();

  /** In the order they came. */
  get all(): Iterable<SimulatedDomain> {
    return this.#byId.values();
  }

  get size(): number {
    return this.#byId.size;
  }

  find(uuid: string): SimulatedDomain | undefined {
    return this.#byId.get(uuid as VmId);
  }

  findByName(name: string): SimulatedDomain | undefined {
    return this.#byName.get(name);
  }

  add(domain: SimulatedDomain): SimulatedDomain {
    this.#byId.set(domain.uuid, domain);
    this.#byName.set(domain.name, domain);
    return domain;
  }

  forget(domain: SimulatedDomain): void {
    this.#byId.delete(domain.uuid);
    this.#byName.delete(domain.name);
  }

  /**
   * The configuration of a new domain, or of one that is there.
   * @throws Fault where name or uuid are another domain's
   */
  parse(xml: string, makeUuid: () => string): DomainConfig {
    const config = parseDomain(xml, makeUuid);
    const uuid = parseVmId(config.uuid);
    if (uuid === undefined) throw new Fault('internal', 'malformed uuid element');
    const namesake = this.#byName.get(config.name);
    if (namesake && namesake.uuid !== uuid) {
      throw new Fault(
        'operation-failed',
        `domain '${config.name}' already exists with uuid ${namesake.uuid}`,
      );
    }
    const sameUuid = this.#byId.get(uuid);
    if (sameUuid && sameUuid.name !== config.name) {
      throw new Fault('operation-failed', `domain '${sameUuid.name}' is already defined with uuid ${uuid}`);
    }
    return { ...config, uuid };
  }
}
