/**
 * Stands between a client and libvirt's daemon and keeps back the calls of one procedure, with all that follows on the same
 * connection, for as long as a test wants: libvirt "takes long" at exactly that point. Goes into a SocketRelay.
 */
import { Transform } from 'node:stream';
import type { TransformCallback } from 'node:stream';

const LENGTH_BYTES = 4;
/** Of the procedure's number, behind length, program and version. */
const PROCEDURE_AT = 12;
const HEADER_BYTES = 28;

export class CallHolder {
  #procedure: number | undefined;
  readonly #waiting: (() => void)[] = [];
  #seen: () => void = () => undefined;

  /** From now on. @returns resolves when such a call has come */
  hold(procedure: number): Promise<void> {
    this.#procedure = procedure;
    return new Promise((resolve) => (this.#seen = resolve));
  }

  release(): void {
    this.#procedure = undefined;
    for (const go of this.#waiting.splice(0)) go();
  }

  /** For one connection. */
  readonly stream = (): Transform => {
    let rest = Buffer.alloc(0);
    const next = (push: (packet: Buffer) => void, done: TransformCallback): void => {
      const bytes = rest.length < HEADER_BYTES ? Infinity : rest.readUInt32BE(0);
      if (rest.length < Math.max(bytes, LENGTH_BYTES)) {
        done();
        return;
      }
      const packet = rest.subarray(0, bytes);
      const go = (): void => {
        rest = rest.subarray(bytes);
        push(packet);
        next(push, done);
      };
      if (packet.readInt32BE(PROCEDURE_AT) !== this.#procedure) {
        go();
      } else {
        this.#waiting.push(go);
        this.#seen();
      }
    };
    return new Transform({
      transform(chunk: Buffer, _encoding, done) {
        rest = Buffer.concat([rest, chunk]);
        next((packet) => this.push(packet), done);
      },
    });
  };
}
