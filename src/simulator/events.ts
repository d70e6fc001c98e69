/**
 * Domain events of the simulated host, as libvirt's packets tell them: what happened, without who listens.
 */
import type { EventPacketName, EventPayload } from '../libvirt/domain-events.js';
import type { DomainHandle } from '../libvirt/objects.js';
import type { TypedParam } from '../libvirt/typed-params.js';

type Body<N extends EventPacketName> = { readonly kind: N } & Omit<EventPayload<N>, 'callbackId' | 'dom'>;

/** By kind the fields of libvirt's packet of that name. */
export type EventBody = { [N in EventPacketName]: Body<N> }[EventPacketName];

/** `domain` is the handle as it was when the event happened. */
export type HostEvent = EventBody & { readonly domain: DomainHandle };

const lifecycle = (event: number, detail: number): EventBody => ({ kind: 'lifecycle', event, detail });

/** The lifecycle events that a simulated domain can cause: event and detail. */
export const Lifecycle = {
  defined: lifecycle(0, 0),
  updated: lifecycle(0, 1),
  undefined: lifecycle(1, 0),
  started: lifecycle(2, 0),
  startedRestored: lifecycle(2, 2),
  suspended: lifecycle(3, 0),
  suspendedByIoError: lifecycle(3, 2),
  suspendedByWatchdog: lifecycle(3, 3),
  suspendedRestored: lifecycle(3, 4),
  resumed: lifecycle(4, 0),
  resumedFromSnapshot: lifecycle(4, 2),
  stopped: lifecycle(5, 0),
  destroyed: lifecycle(5, 1),
  stoppedCrashed: lifecycle(5, 2),
  saved: lifecycle(5, 4),
  failed: lifecycle(5, 5),
  shutdownByGuest: lifecycle(6, 1),
  shutdownByHost: lifecycle(6, 2),
  crashedPanicked: lifecycle(8, 0),
} as const;

export const reboot: EventBody = { kind: 'reboot' };

/** virConnectDomainEventAgentLifecycle*. */
export const AgentState = { connected: 1, disconnected: 2 } as const;
export const AgentReason = { domainStarted: 1, channel: 2 } as const;

export function agent(state: number, reason: number): EventBody {
  return { kind: 'agentLifecycle', state, reason };
}

export function metadataChange(type: number, uri: string | undefined): EventBody {
  return { kind: 'metadataChange', type, ...(uri !== undefined && { uri }) };
}

export function tunable(params: readonly TypedParam[]): EventBody {
  return { kind: 'tunable', params };
}

/** virDomainBlockJobType and the status in events. */
export const BlockJobType = { commit: 3, activeCommit: 4 } as const;
export const BlockJobStatus = { completed: 0, failed: 1, cancelled: 2, ready: 3 } as const;

/** libvirt tells each change of a block job twice: by the image's path and by the disk's target. */
export function blockJob(path: string, target: string, type: number, status: number): EventBody[] {
  return [
    { kind: 'blockJob', disk: path, type, status },
    { kind: 'blockJob2', disk: target, type, status },
  ];
}

export const IoErrorAction = { pause: 1, report: 2 } as const;

/** An I/O error, too, is told twice: the second packet says why. */
export function ioError(path: string, alias: string, action: number, reason: string): EventBody[] {
  return [
    { kind: 'ioError', path, alias, action },
    { kind: 'ioErrorReason', path, alias, action, reason },
  ];
}
