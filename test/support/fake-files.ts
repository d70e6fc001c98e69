/** Files of saved VMs in memory, all of them in folders that are there unless their path begins with /absent/. */
import type { StateFiles } from '../../src/vms/state-files.js';

type Method = keyof StateFiles;

export class FakeFiles implements StateFiles {
  /** By path. */
  readonly content = new Map<string, Buffer>();
  readonly #failures = new Map<Method, Error>();

  failNext(method: Method, error: Error): void {
    this.#failures.set(method, error);
  }

  async reserve(path: string): Promise<void> {
    await this.#enter('reserve');
    if (this.content.has(path)) throw new Error(`EEXIST: file already exists, open '${path}'`);
    if (path.startsWith('/absent/')) throw new Error(`ENOENT: no such file or directory, open '${path}'`);
    this.content.set(path, Buffer.alloc(0));
  }

  async replace(path: string, text: string): Promise<void> {
    await this.#enter('replace');
    this.content.set(path, Buffer.from(text));
  }

  async read(path: string, maxBytes: number): Promise<Buffer> {
    await this.#enter('read');
    const content = this.content.get(path);
    if (!content) throw new Error(`ENOENT: no such file or directory, open '${path}'`);
    if (content.length > maxBytes) throw new Error(`${path} is longer than ${maxBytes} bytes`);
    return content;
  }

  async remove(path: string): Promise<void> {
    await this.#enter('remove');
    this.content.delete(path);
  }

  async #enter(method: Method): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    const failure = this.#failures.get(method);
    this.#failures.delete(method);
    if (failure) throw failure;
  }
}
