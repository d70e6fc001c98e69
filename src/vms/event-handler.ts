/**
 * The hypervisor's domain events and what each does to a VM: one table, one row per kind, after VDSM's (virt/vm.py).
 *
 * An event that says what happened is a cause of the state machine; one that only says that something happened has
 * the refresher read again. Events of unknown domains have them looked up, and adopted if they run.
 */
import type { DomainEvent, Hypervisor } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { Vm } from '../domain/vm.js';
import { causeOfLifecycle } from '../domain/vm-found.js';
import type { Logger } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { Clock } from '../util/time.js';
import { ioErrorOfEvent, pauseCodeOfReason } from './io-error.js';
import { kill } from './kill.js';
import { isBeingStarted } from './refresher.js';
import type { Refresher } from './refresher.js';
import type { Registry } from './registry.js';

type Kind = DomainEvent['kind'];
type EventOf<K extends Kind> = DomainEvent & { readonly kind: K };
type Table = { readonly [K in Kind]: (event: EventOf<K>, vm: Vm) => void };

/** libvirt's watchdog action to VDSM's word. */
const watchdogWords: Readonly<Record<string, string>> = { none: 'ignore', poweroff: 'destroy', debug: 'log' };
/** Lifecycle events after which a domain without a live record may be running. */
const signsOfLife: ReadonlySet<string> = new Set([
  'started',
  'resumed',
  'suspended',
  'pmsuspended',
  'crashed',
]);
/** These say nothing of the running domain. */
const aboutDefinition: ReadonlySet<string> = new Set(['defined', 'undefined']);

/** Whether this host is going down. */
export interface HostShutdownSource {
  /** As far as it is known. */
  readonly underWay: boolean;
  /** Finds out; never rejects. */
  check(): Promise<boolean>;
}

export interface EventHandlerParts {
  readonly hypervisor: Pick<Hypervisor, 'destroy'>;
  readonly hostShutdown: HostShutdownSource;
  readonly registry: Registry;
  readonly refresher: Pick<Refresher, 'request'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'vm_events_unknown_total'>;
}

export class EventHandler {
  readonly #table: Table;

  constructor(private readonly parts: EventHandlerParts) {
    const { registry, refresher, clock } = parts;
    const rereadXml = ({ id }: DomainEvent): void => refresher.request(id, 'xml');
    const nothing = (): void => undefined;
    this.#table = {
      lifecycle: (event, vm) => this.#lifecycle(event, vm),
      reboot: (_event, vm) => this.#reboot(vm),
      'rtc-change': ({ id, offsetSec }) => void registry.change(id, { facts: { timeOffsetSec: offsetSec } }),
      watchdog: ({ id, action }) => {
        const watchdogEvent = { timeSec: clock.wallMs() / 1000, action: watchdogWords[action] ?? action };
        registry.change(id, { facts: { watchdogEvent } });
      },
      'io-error': (event, vm) => this.#ioError(event, vm),
      graphics: (event, vm) => this.#graphics(event, vm),
      'control-error': (_event, vm) =>
        parts.log.warn({ vmId: vm.id, name: vm.name }, "libvirt lost the monitor of a VM's QEMU"),
      'block-job': rereadXml,
      'balloon-change': nothing,
      'device-added': rereadXml,
      'device-removed': rereadXml,
      'device-removal-failed': nothing,
      // The XML tells whether the agent's channel is connected; what the agent says is guest-agent/poller.ts's.
      'agent-lifecycle': rereadXml,
      'disk-change': rereadXml,
      'tray-change': rereadXml,
      'job-completed': ({ id }) => refresher.request(id, 'state'),
      'migration-iteration': nothing,
      'metadata-change': rereadXml,
      'block-threshold': nothing,
      tunable: ({ id }) => refresher.request(id, 'scheduler', 'xml'),
    };
  }

  handle(event: DomainEvent): void {
    if (event.kind === 'lifecycle' || event.kind === 'reboot') this.parts.registry.touch(event.id);
    const vm = this.parts.registry.get(event.id);
    if (!vm) this.#unknown(event);
    else if (vm.internal !== 'Down') dispatch(this.#table, event, vm);
    else if (isSignOfLife(event)) this.parts.refresher.request(event.id, 'state');
  }

  #unknown(event: DomainEvent): void {
    this.parts.metrics.vm_events_unknown_total.inc();
    if (event.kind !== 'lifecycle' || isSignOfLife(event)) this.parts.refresher.request(event.id, 'state');
  }

  #lifecycle({ event, detail }: EventOf<'lifecycle'>, vm: Vm): void {
    const { registry, refresher } = this.parts;
    if (aboutDefinition.has(event)) return;
    const cause = causeOfLifecycle(event, detail);
    if (cause) registry.move(vm.id, cause);
    if (cause === 'shutdown-by-guest') this.#checkHost(vm.id);
    if (isBeingStarted(vm)) {
      // Its operation reads the state when libvirt has answered; without an operation nobody would.
      if (registry.locks.running(vm.id) === undefined) refresher.request(vm.id, 'state');
    } else if (event === 'started') {
      refresher.request(vm.id, 'state', 'xml');
    } else if (!cause) {
      refresher.request(vm.id, 'state');
    }
    if (cause === 'suspended-io-error') refresher.request(vm.id, 'disk-errors');
    if (cause === 'postcopy-failed' && vm.internal === 'Migration Destination') {
      void kill(this.parts, vm, cause);
    }
  }

  /** A guest that ends while its host goes down was asked to by the host. Its QEMU lives on for some tens of ms. */
  #checkHost(id: VmId): void {
    const { hostShutdown, registry } = this.parts;
    if (hostShutdown.underWay) registry.move(id, 'host-shuts-down');
    else
      void hostShutdown.check().then((underWay) => {
        if (underWay) registry.move(id, 'host-shuts-down');
      });
  }

  #reboot(vm: Vm): void {
    const { registry, clock } = this.parts;
    if (vm.domain?.metadata?.destroyOnReboot) {
      registry.move(vm.id, 'rebooted-for-good');
      void kill(this.parts, vm, 'rebooted-for-good');
      return;
    }
    registry.change(vm.id, { causes: ['rebooted'], facts: { startedAtMs: clock.wallMs() } });
  }

  #ioError({ id, action, reason, alias, path }: EventOf<'io-error'>, vm: Vm): void {
    if (action !== 'pause') {
      this.parts.log.info({ vmId: id, name: vm.name, alias, path, action, reason }, 'I/O error of a guest');
      return;
    }
    this.parts.registry.change(id, {
      causes: ['suspended-io-error'],
      detail: { pauseCode: pauseCodeOfReason(reason) },
      extra: { ioerror: ioErrorOfEvent(vm, { alias, path }) },
    });
  }

  #graphics({ id, phase, clientAddress, clientPort }: EventOf<'graphics'>, vm: Vm): void {
    const { registry } = this.parts;
    if (phase === 'initialize') {
      registry.change(id, { facts: { clientIp: clientAddress, clientPort } });
    } else if (phase === 'disconnect' && vm.clientIp === clientAddress && vm.clientPort === clientPort) {
      registry.change(id, { facts: { clientIp: '', clientPort: '' } });
    }
  }
}

function dispatch<K extends Kind>(table: Table, event: EventOf<K>, vm: Vm): void {
  table[event.kind](event, vm);
}

function isSignOfLife(event: DomainEvent): boolean {
  return event.kind === 'lifecycle' && signsOfLife.has(event.event);
}
