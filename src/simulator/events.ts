/**
 * Domain events of the simulated host, in libvirt's numbers: what happened, without who listens.
 */
import type { DomainHandle } from '../libvirt/objects.js';

export type EventBody =
  | { readonly kind: 'lifecycle'; readonly event: number; readonly detail: number }
  | { readonly kind: 'reboot' }
  /** state 1 connected, 2 disconnected; reason 1 domain started, 2 channel. */
  | { readonly kind: 'agent'; readonly state: number; readonly reason: number }
  /** type 0 description, 1 title, 2 element with its namespace. */
  | { readonly kind: 'metadata'; readonly type: number; readonly uri: string | undefined }
  | { readonly kind: 'balloon'; readonly actualKiB: number };

/** `domain` is the handle as it was when the event happened. */
export type HostEvent = EventBody & { readonly domain: DomainHandle };

const lifecycle = (event: number, detail: number): EventBody => ({ kind: 'lifecycle', event, detail });

/** The lifecycle events that a simulated domain can cause: event and detail. */
export const Lifecycle = {
  defined: lifecycle(0, 0),
  updated: lifecycle(0, 1),
  undefined: lifecycle(1, 0),
  started: lifecycle(2, 0),
  suspended: lifecycle(3, 0),
  resumed: lifecycle(4, 0),
  stopped: lifecycle(5, 0),
  destroyed: lifecycle(5, 1),
  failed: lifecycle(5, 5),
  shutdownByGuest: lifecycle(6, 1),
  shutdownByHost: lifecycle(6, 2),
} as const;
