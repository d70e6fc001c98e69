/**
 * Looks into the test guest: runs shell lines in it, over the UNIX socket of its serial port. No login, no prompt: a
 * script in the guest reads "id command" and answers one line with the output in base64.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

export interface GuestOutput {
  readonly code: number;
  /** Standard output and error, without trailing line breaks. */
  readonly output: string;
}

/** Three seconds on a machine with nothing else to do. */
const BOOT_LIMIT_MS = 120_000;
const RUN_LIMIT_MS = 20_000;
const RETRY_MS = 250;

/** The serial port's element of domain XML. @param path of the socket, in a folder where QEMU's user may make it */
export function consoleXml(path: string): string {
  return `<serial type='unix'><source mode='bind' path='${path}'/><target port='0'/></serial>`;
}

export class GuestConsole {
  #text = '';
  #sent = 0;
  readonly #waiting = new Map<string, (result: GuestOutput) => void>();

  private constructor(private readonly socket: Socket) {
    socket.setEncoding('utf8').on('data', (text: string) => this.#received(text));
    // QEMU's end shows as an unanswered command.
    socket.on('error', () => undefined);
  }

  /** Resolves when the guest has booted and answers. */
  static async open(path: string, limitMs = BOOT_LIMIT_MS): Promise<GuestConsole> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      const guest = await GuestConsole.#connected(path);
      if (guest) {
        await guest.untilReady(endMs - performance.now());
        return guest;
      }
      if (performance.now() > endMs) throw new Error(`no serial port at ${path}`);
      await delay(RETRY_MS);
    }
  }

  static #connected(path: string): Promise<GuestConsole | undefined> {
    return new Promise((resolve) => {
      const socket = connect(path);
      socket.once('connect', () => resolve(new GuestConsole(socket)));
      socket.once('error', () => resolve(undefined));
    });
  }

  /** Waits until the guest answers, for example after a reboot. */
  async untilReady(limitMs = BOOT_LIMIT_MS): Promise<void> {
    const endMs = performance.now() + limitMs;
    // What is written before the script reads is lost.
    while ((await this.#ask('true', RETRY_MS)) === undefined) {
      if (performance.now() > endMs)
        throw new Error(`the guest does not answer:\n${this.#text.slice(-2000)}`);
    }
  }

  /** Runs a line of shell and resolves with its end; one at a time. What is to go on must redirect its output. */
  async run(command: string, limitMs = RUN_LIMIT_MS): Promise<GuestOutput> {
    const result = await this.#ask(command, limitMs);
    if (!result) throw new Error(`the guest did not answer within ${limitMs} ms: ${command}`);
    return result;
  }

  /** The output of a line of shell that must succeed. */
  async text(command: string, limitMs?: number): Promise<string> {
    const { code, output } = await this.run(command, limitMs);
    if (code !== 0) throw new Error(`${command} ended with ${code} in the guest: ${output}`);
    return output;
  }

  /** Waits until a line of shell succeeds, and resolves with its output. */
  async until(command: string, limitMs = RUN_LIMIT_MS): Promise<string> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      const { code, output } = await this.run(command);
      if (code === 0) return output;
      if (performance.now() > endMs) throw new Error(`${command} still fails in the guest: ${output}`);
      await delay(RETRY_MS);
    }
  }

  /** Everything that came over the serial port and answered no command, GUEST-READY and GUEST-POWEROFF included. */
  get log(): string {
    return this.#text;
  }

  close(): void {
    this.socket.destroy();
  }

  async #ask(command: string, limitMs: number): Promise<GuestOutput | undefined> {
    const id = String(++this.#sent);
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve) => {
        timer = setTimeout(resolve, limitMs, undefined);
        this.#waiting.set(id, resolve);
        this.socket.write(`${id} ${command}\n`);
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  #received(text: string): void {
    this.#text += text;
    this.#text = this.#text.replace(
      /GUEST-RESULT (\d+) (\d+) (\S*)\r?\n/g,
      (_, id: string, code: string, encoded: string) => {
        const output = Buffer.from(encoded, 'base64').toString('utf8').replace(/\n+$/, '');
        this.#waiting.get(id)?.({ code: Number(code), output });
        return '';
      },
    );
  }
}
