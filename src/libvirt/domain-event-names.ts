/**
 * Event packets -> the port's DomainEvents: numbers become names, here and nowhere else. Packets that the port has
 * no event for are not registered (see `registered`); libvirt sends lifecycle events beside the power events.
 */
import type { DomainEvent } from '../domain/hypervisor.js';
import { eventPacketOf, eventPackets } from './domain-events.js';
import type { EventPacketName, EventPayload } from './domain-events.js';
import {
  agentStates,
  blockJobStatuses,
  blockJobTypes,
  graphicsPhases,
  ioErrorActions,
  lifecycleDetails,
  lifecycleEvents,
  nameOf,
  watchdogActions,
} from './enumerations.js';
import type { DomainHandle } from './objects.js';
import { paramRecord } from './typed-params.js';
import type { XdrReader } from './xdr.js';

/** What is left of a DomainEvent without the domain. */
type Distinct<E> = E extends unknown ? Omit<E, 'id' | 'domainName'> : never;
type Content = Distinct<DomainEvent>;
type Translators = { readonly [N in EventPacketName]?: (payload: EventPayload<N>) => Content | undefined };

const translators = {
  lifecycle({ event, detail }) {
    const name = lifecycleEvents[event];
    return name && { kind: 'lifecycle', event: name, detail: nameOf(lifecycleDetails[name], detail) };
  },
  reboot: () => ({ kind: 'reboot' }),
  rtcChange: ({ offset }) => ({ kind: 'rtc-change', offsetSec: offset }),
  watchdog: ({ action }) => ({ kind: 'watchdog', action: nameOf(watchdogActions, action) }),
  ioError: (payload) => ioErrorContent(payload, ''),
  ioErrorReason: (payload) => ioErrorContent(payload, payload.reason),
  graphics: ({ phase, remote }) => ({
    kind: 'graphics',
    phase: nameOf(graphicsPhases, phase),
    clientAddress: remote.node,
    clientPort: remote.service,
  }),
  controlError: () => ({ kind: 'control-error' }),
  blockJob: blockJobContent,
  blockJob2: blockJobContent,
  diskChange: ({ alias }) => ({ kind: 'disk-change', alias }),
  trayChange: ({ alias }) => ({ kind: 'tray-change', alias }),
  balloonChange: ({ actual }) => ({ kind: 'balloon-change', actualKiB: actual }),
  deviceAdded: ({ alias }) => ({ kind: 'device-added', alias }),
  deviceRemoved: ({ alias }) => ({ kind: 'device-removed', alias }),
  deviceRemovalFailed: ({ alias }) => ({ kind: 'device-removal-failed', alias }),
  tunable: ({ params }) => ({ kind: 'tunable', values: paramRecord(params) }),
  agentLifecycle: ({ state }) => ({ kind: 'agent-lifecycle', state: nameOf(agentStates, state) }),
  migrationIteration: ({ iteration }) => ({ kind: 'migration-iteration', iteration }),
  jobCompleted: ({ params }) => ({ kind: 'job-completed', stats: paramRecord(params) }),
  metadataChange: ({ uri }) => ({ kind: 'metadata-change', uri: uri ?? '' }),
  blockThreshold: ({ device, excess }) => ({ kind: 'block-threshold', device, excess }),
} satisfies Translators;

function ioErrorContent(
  payload: { readonly path: string; readonly alias: string; readonly action: number },
  reason: string,
): Content {
  const { path, alias, action } = payload;
  return { kind: 'io-error', path, alias, action: nameOf(ioErrorActions, action), reason };
}

function blockJobContent(payload: EventPayload<'blockJob2'>): Content {
  return {
    kind: 'block-job',
    disk: payload.disk,
    type: nameOf(blockJobTypes, payload.type),
    status: nameOf(blockJobStatuses, payload.status),
  };
}

/**
 * Older events that newer ones replace. libvirt sends both, so the older is registered only where the daemon does
 * not know the newer.
 */
const olderForms: Partial<Record<EventPacketName, EventPacketName>> = {
  ioErrorReason: 'ioError',
  blockJob2: 'blockJob',
};

/** What to register, each with its older form where it has one. */
export const registered: readonly { readonly eventId: number; readonly olderEventId?: number }[] = (
  Object.keys(translators) as EventPacketName[]
)
  .filter((name) => !Object.values(olderForms).includes(name))
  .map((name) => {
    const { eventId } = eventPackets[name];
    const older = olderForms[name];
    return older ? { eventId, olderEventId: eventPackets[older].eventId } : { eventId };
  });

export interface TranslatedEvent {
  readonly event: DomainEvent;
  readonly dom: DomainHandle;
}

/**
 * @param procedure the packet's procedure number
 * @returns undefined for a packet or a lifecycle event that is not known here
 * @throws WireError for a payload that does not fit its codec
 */
export function translateEvent(procedure: number, reader: XdrReader): TranslatedEvent | undefined {
  const name = eventPacketOf(procedure);
  if (!name || !(name in translators)) return undefined;
  const payload = eventPackets[name].codec.read(reader);
  const translate = (translators as Translators)[name] as (payload: unknown) => Content | undefined;
  const content = translate(payload);
  if (!content) return undefined;
  const { dom } = payload;
  return { dom, event: { id: dom.uuid, domainName: dom.name, ...content } };
}
