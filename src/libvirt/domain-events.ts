/**
 * Event packets: event id (as it is registered), procedure number (as it arrives) and codec of each, usable in
 * both directions. domain-event-names.ts turns them into the port's DomainEvents.
 *
 * A payload starts with the callback id, which differs from the event id and from one connection to the next.
 */
import { dom } from './objects.js';
import { typedParams } from './typed-params.js';
import { array, i32, i64, optional, str, struct, u32, u64 } from './xdr-codecs.js';
import type { Codec, CodecType } from './xdr-codecs.js';

const callbackId = i32;
const address = struct({ family: i32, node: str, service: str });
const ioError = { callbackId, dom, path: str, alias: str, action: i32 };
const onAlias = struct({ callbackId, dom, alias: str });
/** The three power events carry their reason before the domain. */
const pm = struct({ callbackId, reason: i32, dom });
const blockJob = struct({ callbackId, dom, disk: str, type: i32, status: i32 });

interface EventPacket<T> {
  readonly eventId: number;
  readonly procedure: number;
  readonly codec: Codec<T>;
}

function event<T>(eventId: number, procedure: number, codec: Codec<T>): EventPacket<T> {
  return { eventId, procedure, codec };
}

export const eventPackets = {
  lifecycle: event(0, 318, struct({ callbackId, dom, event: i32, detail: i32 })),
  reboot: event(1, 319, struct({ callbackId, dom })),
  // seconds
  rtcChange: event(2, 320, struct({ callbackId, dom, offset: i64 })),
  watchdog: event(3, 321, struct({ callbackId, dom, action: i32 })),
  ioError: event(4, 322, struct(ioError)),
  graphics: event(
    5,
    323,
    struct({
      callbackId,
      dom,
      phase: i32,
      local: address,
      remote: address,
      authScheme: str,
      subject: array(struct({ type: str, name: str }), 20),
    }),
  ),
  // 4 and 6 are both sent for one error; this one says why
  ioErrorReason: event(6, 324, struct({ ...ioError, reason: str })),
  controlError: event(7, 325, struct({ callbackId, dom })),
  // disk is the path of the source file
  blockJob: event(8, 326, blockJob),
  diskChange: event(
    9,
    327,
    struct({ callbackId, dom, oldSource: optional(str), newSource: optional(str), alias: str, reason: i32 }),
  ),
  trayChange: event(10, 328, struct({ callbackId, dom, alias: str, reason: i32 })),
  pmWakeup: event(11, 329, pm),
  pmSuspend: event(12, 330, pm),
  // KiB
  balloonChange: event(13, 331, struct({ callbackId, dom, actual: u64 })),
  pmSuspendDisk: event(14, 332, pm),
  deviceRemoved: event(15, 333, onAlias),
  // disk is the target device
  blockJob2: event(16, 339, blockJob),
  tunable: event(17, 346, struct({ callbackId, dom, params: typedParams(2048) })),
  agentLifecycle: event(18, 348, struct({ callbackId, dom, state: i32, reason: i32 })),
  deviceAdded: event(19, 354, onAlias),
  migrationIteration: event(20, 359, struct({ callbackId, dom, iteration: i32 })),
  jobCompleted: event(21, 363, struct({ callbackId, dom, params: typedParams(2048) })),
  deviceRemovalFailed: event(22, 367, onAlias),
  // uri absent for title and description
  metadataChange: event(23, 379, struct({ callbackId, dom, type: i32, uri: optional(str) })),
  // sent twice, for `vda` and for `vda[3]`
  blockThreshold: event(
    24,
    385,
    struct({ callbackId, dom, device: str, path: optional(str), threshold: u64, excess: u64 }),
  ),
  memoryFailure: event(25, 423, struct({ callbackId, dom, recipient: i32, action: i32, flags: u32 })),
  // KiB
  memoryDeviceSize: event(26, 438, struct({ callbackId, dom, alias: str, size: u64 })),
} as const;

export type EventPacketName = keyof typeof eventPackets;
export type EventPayload<N extends EventPacketName> = CodecType<(typeof eventPackets)[N]['codec']>;

/** The driver inside the daemon lost its own connection; no callback id. Asked for by CONNECT_REGISTER_CLOSE_CALLBACK. */
export const connectionClosedEvent = { procedure: 362, codec: struct({ reason: i32 }) };

const byProcedure = new Map<number, EventPacketName>(
  (Object.keys(eventPackets) as EventPacketName[]).map((name) => [eventPackets[name].procedure, name]),
);

/** The packet's name, undefined for one this table does not know. */
export function eventPacketOf(procedure: number): EventPacketName | undefined {
  return byProcedure.get(procedure);
}
