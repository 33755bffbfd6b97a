/** What cannot be taken back asks for a second press. */

/** The second press counts for so long. */
const ARMED_MS = 4000;

export class Arming {
  /** What has been pressed once; empty: nothing. */
  what = '';
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly changed: () => void) {}

  /** True the second time in a row. */
  press(what: string): boolean {
    const sure = this.what === what;
    clearTimeout(this.timer);
    this.arm(sure ? '' : what);
    if (!sure) this.timer = setTimeout(() => this.arm(''), ARMED_MS);
    return sure;
  }

  private arm(what: string): void {
    this.what = what;
    this.changed();
  }
}
