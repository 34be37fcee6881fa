// Serves the route handlers of an example as Next.js does: `node route_handlers.mjs PORT`.

import {createServer} from "node:http";
import {pathToFileURL} from "node:url";

const server = createServer(async (incoming, outgoing) => {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const {method, headers, url} = incoming;
  try {
    const route = await import(pathToFileURL(`${process.cwd()}/app${url}/route.js`));
    const body = chunks.length ? Buffer.concat(chunks) : undefined;
    const answer = await route[method](new Request(`http://localhost${url}`, {method, headers, body}));
    outgoing.writeHead(answer.status, [...answer.headers].flat());
    outgoing.end(Buffer.from(await answer.arrayBuffer()));
  } catch (error) {
    outgoing.writeHead(error.code === "ERR_MODULE_NOT_FOUND" ? 404 : 500);
    outgoing.end(String(error.stack));
  }
});
server.listen(Number(process.argv[2]), "127.0.0.1");
