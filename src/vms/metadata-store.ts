/**
 * What must outlive the agent, in the `ovirt-vm` and `ovirt-tune` metadata of the domains, as VDSM keeps it: read, changed
 * and written back, one change per VM at a time.
 *
 * A running domain's goes into the live XML and into the definition, a Down one's into the definition. External domains
 * are left alone: with metadata of ours they would be managed ones to the next agent. A change that fails is its
 * caller's to repeat; recorder.ts does that for what the agent itself has to remember.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import type { Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { VmSource } from '../domain/vm.js';
import { parseXmlForEdit, XmlNodeElement } from '../util/xml-edit.js';
import { ovirtNamespaces, putValues } from './ovirt-metadata.js';
import type { MetadataNamespace, MetadataValues } from './ovirt-metadata.js';

export type { MetadataNamespace, MetadataValues } from './ovirt-metadata.js';

export interface MetadataStoreParts {
  readonly hypervisor: Pick<Hypervisor, 'metadata'>;
  readonly vms: Pick<VmSource, 'get'>;
}

/** Names in it have no prefixes. */
type Change = (element: XmlNodeElement) => void;

/** Of one VM; a verb waits for its own change, so that more are a caller's mistake. */
const MAX_WAITING = 100;

export class MetadataStore {
  /** By VM: the end of its last change, and how many have not ended. */
  readonly #lines = new Map<VmId, { last: Promise<void>; length: number }>();

  constructor(private readonly parts: MetadataStoreParts) {}

  /**
   * Sets or removes members of `<ovirt-vm:vm>`, e.g. {exitCode: 1}.
   * @throws HypervisorError
   */
  setValues(id: VmId, values: MetadataValues): Promise<void> {
    return this.edit(id, 'vm', (element) => putValues(element, values));
  }

  /**
   * Changes the element (`vm` of ovirt-vm, `qos` of ovirt-tune; an empty one where there is none). Names in it have no
   * prefixes. Nothing is written where nothing was changed.
   * @throws HypervisorError, and what the change throws
   */
  edit(id: VmId, namespace: MetadataNamespace, change: Change): Promise<void> {
    const line = this.#lines.get(id) ?? { last: Promise.resolve(), length: 0 };
    if (line.length >= MAX_WAITING) {
      const sentence = `${MAX_WAITING} changes of the metadata of VM ${id} are waiting already`;
      return Promise.reject(new HypervisorError('busy', sentence));
    }
    this.#lines.set(id, line);
    line.length++;
    const done = line.last.then(() => this.#change(id, namespace, change));
    line.last = done
      .catch(() => undefined)
      .finally(() => {
        if (--line.length === 0) this.#lines.delete(id);
      });
    return done;
  }

  /** Resolves when no change of the VM's metadata is under way. */
  settled(id: VmId): Promise<void> {
    return this.#lines.get(id)?.last ?? Promise.resolve();
  }

  async #change(id: VmId, namespace: MetadataNamespace, change: Change): Promise<void> {
    const vm = this.parts.vms.get(id);
    if (vm?.external) return;
    const [likely, other] =
      vm?.internal === 'Down' ? (['definition', 'live'] as const) : (['live', 'definition'] as const);
    try {
      await this.#changeIn(likely, id, namespace, change);
    } catch (error) {
      if (!(error instanceof HypervisorError && error.kind === 'invalid-state')) throw error;
      await this.#changeIn(other, id, namespace, change);
    }
  }

  async #changeIn(
    place: 'live' | 'definition',
    id: VmId,
    namespace: MetadataNamespace,
    change: Change,
  ): Promise<void> {
    const { metadata } = this.parts.hypervisor;
    const { uri, prefix, element: name } = ovirtNamespaces[namespace];
    const present = await metadata.get(id, uri, place);
    const element = present === undefined ? new XmlNodeElement(name) : parseXmlForEdit(present);
    const before = String(element);
    change(element);
    const xml = String(element);
    if (xml === before) return;
    await metadata.set(id, { uri, prefix, xml }, place === 'live' ? 'both' : 'definition');
  }
}
