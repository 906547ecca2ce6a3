/** The stream of events. Connects again by itself and goes on after the last event it has seen. */

import { reached } from "./base";
import { BASE, type Events, type Hello, type HostEvent, type PreviewHeader, type Watch } from "./types";

interface Handlers {
  onEvent: (event: HostEvent) => void;
  onPreview: (header: PreviewHeader, image: Blob) => void;
  onState: (online: boolean) => void;
}

const FIRST_WAIT = 400;
const LONGEST_WAIT = 5000;

export class EventStream {
  #socket: WebSocket | null = null;
  #after: number | null = null;
  #server = "";
  #wait = FIRST_WAIT;
  #timer = 0;
  #closed = false;
  readonly #handlers: Handlers;

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
    window.addEventListener("online", this.#hurry);
  }

  connect(): void {
    this.#closed = false;
    const from = this.#after === null ? "" : `?after=${this.#after}`;
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${reached(`${BASE}/events`)}${from}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#wait = FIRST_WAIT;
      socket.send(JSON.stringify({ message: "watch", previews: ["*"] } satisfies Watch));
      this.#handlers.onState(true);
    };
    socket.onmessage = (message: MessageEvent<string | ArrayBuffer>) => {
      if (typeof message.data === "string") this.#text(message.data);
      else this.#binary(message.data);
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#handlers.onState(false);
      if (this.#closed) return;
      this.#timer = window.setTimeout(() => this.connect(), this.#wait);
      this.#wait = Math.min(LONGEST_WAIT, this.#wait * 1.7);
    };
    this.#socket = socket;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    window.removeEventListener("online", this.#hurry);
    this.#socket?.close();
  }

  #hurry = (): void => {
    if (this.#socket || this.#closed) return;
    clearTimeout(this.#timer);
    this.connect();
  };

  #text(data: string): void {
    const message = JSON.parse(data) as Hello | Events;
    if (message.message === "hello") {
      this.#server = message.server;
      return;
    }
    for (const event of message.events) {
      this.#after = event.number;
      this.#handlers.onEvent(event.data);
    }
  }

  /** Two bytes of length, a header as JSON, an image. */
  #binary(data: ArrayBuffer): void {
    const length = new DataView(data).getUint16(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 2, length))) as PreviewHeader;
    this.#handlers.onPreview(header, new Blob([new Uint8Array(data, 2 + length)], { type: header.media_type }));
  }

  get server(): string {
    return this.#server;
  }
}
