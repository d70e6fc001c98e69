/**
 * Parts that start and stop. main.ts keeps them in a ServiceStack: started in order, stopped in reverse.
 */
export interface Service {
  /** Resolves when the part is usable, or at least will become so by itself. */
  start(signal: AbortSignal): Promise<void>;
  /** Idempotent; afterwards no timer, socket or thread of the part is left. */
  stop(): Promise<void>;
}

export class ServiceStack implements Service {
  readonly #started: Service[] = [];
  #stopping: Promise<void> | undefined;

  constructor(private readonly services: readonly Service[]) {}

  /** Starts in order. Where one fails, those started before it are stopped and the error is thrown. */
  async start(signal: AbortSignal): Promise<void> {
    for (const service of this.services) {
      if (signal.aborted) return;
      this.#started.push(service);
      try {
        await service.start(signal);
      } catch (error) {
        await this.stop();
        throw error;
      }
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    for (let service = this.#started.pop(); service; service = this.#started.pop()) {
      await service.stop();
    }
  }
}
