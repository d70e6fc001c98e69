/**
 * What must outlive the agent, in the `ovirt-vm` and `ovirt-tune` metadata of the domains, as VDSM keeps it: read, changed
 * and written back, one change per VM at a time.
 */
import type { Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { Logger } from '../util/log.js';
import type { Clock } from '../util/time.js';
import type { XmlNodeElement } from '../util/xml-edit.js';

export type MetadataNamespace = 'vm' | 'tune';

/** Undefined takes the member away. Numbers are written as int where they are whole, else as float. */
export type MetadataValues = Readonly<Record<string, string | number | boolean | undefined>>;

export interface MetadataStoreParts {
  readonly hypervisor: Pick<Hypervisor, 'metadata' | 'status'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class MetadataStore {
  constructor(private readonly parts: MetadataStoreParts) {}

  /**
   * Sets or removes members of `<ovirt-vm:vm>`, e.g. {exitCode: 1}.
   * @throws HypervisorError
   */
  setValues(id: VmId, values: MetadataValues): Promise<void> {
    void [id, values];
    return Promise.reject(new Error('MetadataStore.setValues'));
  }

  /**
   * Changes the element (`vm` of ovirt-vm, `qos` of ovirt-tune; an empty one where there is none). Names in it have no
   * prefixes.
   * @throws HypervisorError
   */
  edit(id: VmId, namespace: MetadataNamespace, change: (element: XmlNodeElement) => void): Promise<void> {
    void [id, namespace, change];
    return Promise.reject(new Error('MetadataStore.edit'));
  }
}
