/** CRC-32 (reflected, polynomial EDB88320: that of zlib and PNG) over the UTF-8 bytes of text, piece by piece. */

const TABLE = new Int32Array(256).map((_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** A CRC that runs on: its value so far, the bytes it covers, and the first half of a character whose second half has not
 * come (0 if none). Its cost is that of what is added, never of what was there. */
export class Crc {
  bytes = 0;
  #register = -1;
  #high = 0;

  /** The CRC of all that was added, from 0 to 2^32 - 1. */
  get value(): number {
    return (this.#register ^ -1) >>> 0;
  }

  /** The same as eight lower-case hex digits. */
  get hex(): string {
    return this.value.toString(16).padStart(8, "0");
  }

  /** Add text. A surrogate pair may be cut between two calls; a lone surrogate counts as U+FFFD, as in TextEncoder. */
  add(text: string): void {
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      if (this.#high !== 0) {
        const high = this.#high;
        this.#high = 0;
        if (unit >= 0xdc00 && unit <= 0xdfff) {
          this.#point(0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
          continue;
        }
        this.#point(0xfffd);
      }
      if (unit < 0x80) this.#byte(unit);
      else if (unit >= 0xd800 && unit <= 0xdbff) this.#high = unit;
      else this.#point(unit >= 0xdc00 && unit <= 0xdfff ? 0xfffd : unit);
    }
  }

  #point(point: number): void {
    if (point < 0x800) this.#byte(0xc0 | (point >> 6));
    else {
      if (point < 0x10000) this.#byte(0xe0 | (point >> 12));
      else {
        this.#byte(0xf0 | (point >> 18));
        this.#byte(0x80 | ((point >> 12) & 0x3f));
      }
      this.#byte(0x80 | ((point >> 6) & 0x3f));
    }
    this.#byte(0x80 | (point & 0x3f));
  }

  #byte(byte: number): void {
    this.#register = (this.#register >>> 8) ^ TABLE[(this.#register ^ byte) & 0xff]!;
    this.bytes++;
  }
}
