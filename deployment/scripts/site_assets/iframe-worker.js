// A browser starts no worker of a page that was opened as a file, and the search is one. There, a
// hidden frame does the same work: it loads the script and passes messages both ways.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = "<!doctype html>";
      this.frame.addEventListener("load", () => this.start(url), {once: true});
      document.body.append(this.frame);
    }

    start(url) {
      const inside = this.frame.contentWindow;
      inside.importScripts = (...urls) => urls.reduce(
        (before, each) => before.then(() => load(inside, each)), Promise.resolve(),
      );
      inside.postMessage = (data) => this.tell(data);
      load(inside, url).then(() => {
        this.inside = inside;
        for (const data of this.waiting) this.pass(data);
      });
    }

    tell(data) {
      const event = new MessageEvent("message", {data});
      this.dispatchEvent(event);
      this.onmessage?.(event);
    }

    pass(data) {
      this.inside.dispatchEvent(new this.inside.MessageEvent("message", {data}));
    }

    postMessage(data) {
      if (this.inside) this.pass(data);
      else this.waiting.push(data);
    }

    terminate() {
      this.frame.remove();
    }
  };
}

function load(inside, url) {
  return new Promise((resolve, reject) => {
    const script = inside.document.createElement("script");
    script.src = url;
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    inside.document.head.append(script);
  });
}
