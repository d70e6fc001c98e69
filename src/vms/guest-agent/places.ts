/**
 * A bounded number of places for work that may hang, shared by those who are known to answer promptly and those who are
 * not. The doubtful ones have half of the places at most: however many they are, the prompt ones are served.
 *
 * Nobody waits or works twice at a time. First come, first served among the prompt and among the doubtful; one of the
 * doubtful is always let in, so that they are not starved either.
 */
export interface PlacesOptions<T> {
  readonly places: number;
  readonly forDoubtful: number;
  isPrompt(member: T): boolean;
  /** Never rejects. True: the member waits for another turn. */
  work(member: T): Promise<boolean>;
}

export class Places<T> {
  readonly #prompt = new Set<T>();
  readonly #doubtful = new Set<T>();
  readonly #atWork = new Map<T, Promise<void>>();
  #doubtfulAtWork = 0;
  #stopped = false;

  constructor(private readonly options: PlacesOptions<T>) {}

  /** Lets the member wait for its turn, unless it does already or is at work. */
  add(member: T): void {
    if (this.#stopped || this.#prompt.has(member) || this.#doubtful.has(member)) return;
    if (this.#atWork.has(member)) return;
    (this.options.isPrompt(member) ? this.#prompt : this.#doubtful).add(member);
    this.#fill();
  }

  /** Forgets a member that waits. */
  remove(member: T): void {
    this.#prompt.delete(member);
    this.#doubtful.delete(member);
  }

  /** Lets nobody in any more; resolves when those at work are done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#prompt.clear();
    this.#doubtful.clear();
    await Promise.all(this.#atWork.values());
  }

  #fill(): void {
    while (this.#atWork.size < this.options.places) {
      const queue = this.#nextQueue();
      const first = queue?.values().next();
      if (!queue || !first || first.done) return;
      queue.delete(first.value);
      this.#begin(first.value, queue === this.#doubtful);
    }
  }

  #nextQueue(): Set<T> | undefined {
    const mayEnter = this.#doubtful.size > 0 && this.#doubtfulAtWork < this.options.forDoubtful;
    if (mayEnter && (this.#doubtfulAtWork === 0 || this.#prompt.size === 0)) return this.#doubtful;
    return this.#prompt.size > 0 ? this.#prompt : undefined;
  }

  #begin(member: T, isDoubtful: boolean): void {
    if (isDoubtful) this.#doubtfulAtWork++;
    const work = this.options.work(member).then((again) => {
      if (isDoubtful) this.#doubtfulAtWork--;
      this.#atWork.delete(member);
      if (again) this.add(member);
      this.#fill();
    });
    this.#atWork.set(member, work);
  }
}
