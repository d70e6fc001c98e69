/**
 * A console's ticket: the password of a VNC or SPICE screen and how long it is good for, set on the running domain only.
 *
 * The password appears in no log line and no error: what libvirt says of a ticket it refuses is withheld where it quotes
 * it. An empty password, or one that is valid for no time, closes the console to everybody who is not connected yet.
 */
import { VerbError } from '../../domain/errors.js';
import { HypervisorError } from '../../domain/hypervisor.js';
import type { Vm } from '../../domain/vm.js';
import type { XmlNodeElement } from '../../util/xml-edit.js';
import { escapeXml } from '../../util/xml-tree.js';
import { nameOf } from '../operation.js';
import type { OperationsParts } from '../operation.js';
import { liveDevices } from './live-devices.js';

export const existingConnActions = ['disconnect', 'fail', 'keep'] as const;

export interface Ticket {
  readonly password: string;
  /** How long it is valid from now on; 0: it is not. */
  readonly ttlSec: number;
  /** What becomes of who is connected; VNC knows only 'keep', so there it is not said. */
  readonly existingConnAction?: (typeof existingConnActions)[number];
  /** Absent: the first console that takes passwords. */
  readonly graphicsType?: string;
}

/** Consoles that have passwords. */
const ticketTypes: ReadonlySet<string> = new Set(['vnc', 'spice']);
/** The protocol's: its key is the first 8 bytes. libvirt refuses more, where QEMU and viewers never look at them. */
const VNC_PASSWORD_BYTES = 8;
/** What no XML can hold; the daemon's complaint would quote the line that it stands in. */
const UNWRITABLE = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u;
/** Shorter texts stand in any message, where they tell nothing. */
const SHORTEST_FOUND = 4;
/** libvirt takes four digits of a year. */
const LATEST_EPOCH_SEC = Date.UTC(9999, 11, 31) / 1000;

/** @throws VerbError ticketErr, invalidParameter; HypervisorError without the password in it */
export async function setTicket(parts: OperationsParts, vm: Vm, ticket: Ticket): Promise<void> {
  if (UNWRITABLE.test(ticket.password)) {
    throw new VerbError('invalidParameter', 'the password has control characters in it');
  }
  const { devices } = await liveDevices(parts, vm.id);
  const consoles = devices.filter(({ name }) => name === 'graphics').filter(hasTickets);
  const { graphicsType } = ticket;
  const console = consoles.find((each) => [undefined, each.attribute('type')].includes(graphicsType));
  if (!console) {
    const kind = graphicsType === undefined ? 'a password' : `type ${graphicsType}`;
    throw new VerbError('ticketErr', `${nameOf(vm)} has no console of ${kind}`);
  }
  const xml = String(withTicket(console, ticket, parts.clock.wallMs()));
  try {
    await parts.hypervisor.devices.update(vm.id, xml, { force: false, persist: false });
  } catch (error) {
    throw withoutSecret(error, ticket.password);
  }
}

/**
 * The console's element with the ticket in it.
 * @param wallMs epoch ms now
 */
export function withTicket(console: XmlNodeElement, ticket: Ticket, wallMs: number): XmlNodeElement {
  const { attributes } = console;
  const isVnc = attributes.get('type') === 'vnc';
  attributes.set('passwd', isVnc ? firstBytes(ticket.password, VNC_PASSWORD_BYTES) : ticket.password);
  attributes.set('passwdValidTo', validTo(ticket, wallMs));
  if (isVnc || ticket.existingConnAction === undefined) attributes.delete('connected');
  else attributes.set('connected', ticket.existingConnAction);
  return console;
}

/** UTC without its letter: libvirt's form. A closed console's lies long ago. */
function validTo({ password, ttlSec }: Ticket, wallMs: number): string {
  const endSec = password === '' || ttlSec === 0 ? 1 : Math.floor(wallMs / 1000) + ttlSec;
  return new Date(Math.min(endSec, LATEST_EPOCH_SEC) * 1000).toISOString().slice(0, 19);
}

function hasTickets(console: XmlNodeElement): boolean {
  return ticketTypes.has(console.attribute('type') ?? '');
}

/** As many whole characters as fit. */
function firstBytes(text: string, limit: number): string {
  let bytes = 0;
  let kept = '';
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > limit) return kept;
    kept += character;
  }
  return kept;
}

/** Neither the message nor a cause that a log would print may have it. */
function withoutSecret(error: unknown, password: string): unknown {
  if (!(error instanceof HypervisorError) || password === '') return error;
  const { kind, message } = error;
  const quotes = [password, escapeXml(password)].some((text) => message.includes(text));
  const tells = message.includes('passwd') || (quotes && password.length >= SHORTEST_FOUND);
  const told = tells ? 'the password is in its message, which is withheld' : message;
  // QEMU says no more than that it could not.
  const hint =
    kind === 'failed' ? '; a console takes no ticket where its VM was created without a passwd' : '';
  return new HypervisorError(kind, told + hint);
}
