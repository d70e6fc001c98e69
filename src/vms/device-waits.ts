/**
 * Waits for guests to let go of devices: the hypervisor only asks them, and tells by an event what became of it.
 *
 * A wait begins before the hypervisor is asked, so that no event is missed. It may outlive the verb that began it: a
 * guest may let go minutes later. It ends with the event, with the VM's run, or when the same device is waited for anew;
 * the hypervisor's events are listened to only while there is a wait.
 */
import type { DomainEvent, Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { VmSource } from '../domain/vm.js';

/** refused: the guest keeps the device. vm-ended: with the VM, of whose devices nothing is left. */
export type Removal = 'removed' | 'refused' | 'vm-ended';

export interface RemovalWait {
  /** Never settles once it is cancelled. */
  readonly end: Promise<Removal>;
  cancel(): void;
}

export class DeviceWaits {
  /** By VM and alias. */
  readonly #waiting = new Map<string, { readonly id: VmId; readonly settle: (how: Removal) => void }>();
  #deaf: (() => void)[] = [];

  constructor(
    private readonly parts: {
      readonly hypervisor: Pick<Hypervisor, 'addListener'>;
      readonly registry: Pick<VmSource, 'onChange'>;
    },
  ) {}

  /** Begin it before asking for the removal. */
  removal(id: VmId, alias: string): RemovalWait {
    const key = keyOf(id, alias);
    let settle: (how: Removal) => void = () => undefined;
    const end = new Promise<Removal>((resolve) => (settle = resolve));
    const waiting = { id, settle };
    this.#waiting.set(key, waiting);
    this.#listen();
    return {
      end,
      cancel: () => {
        if (this.#waiting.get(key) === waiting) this.#forget(key);
      },
    };
  }

  get size(): number {
    return this.#waiting.size;
  }

  #listen(): void {
    if (this.#deaf.length > 0) return;
    const { hypervisor, registry } = this.parts;
    this.#deaf = [
      hypervisor.addListener({ domainEvent: (event) => this.#heard(event) }),
      registry.onChange((id, vm) => {
        if (!vm || vm.internal === 'Down') this.#vmEnded(id);
      }),
    ];
  }

  #heard(event: DomainEvent): void {
    if (event.kind === 'device-removed') this.#settle(keyOf(event.id, event.alias), 'removed');
    else if (event.kind === 'device-removal-failed') this.#settle(keyOf(event.id, event.alias), 'refused');
  }

  #vmEnded(ended: VmId): void {
    for (const [key, { id }] of this.#waiting) if (id === ended) this.#settle(key, 'vm-ended');
  }

  #settle(key: string, how: Removal): void {
    const waiting = this.#waiting.get(key);
    if (!waiting) return;
    this.#forget(key);
    waiting.settle(how);
  }

  #forget(key: string): void {
    this.#waiting.delete(key);
    if (this.#waiting.size === 0) for (const stop of this.#deaf.splice(0)) stop();
  }
}

function keyOf(id: VmId, alias: string): string {
  return `${id} ${alias}`;
}
