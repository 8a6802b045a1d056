// Requests to the server: with its token, and with what it says when it refuses one.

const login = document.querySelector("#login");

export function say(problem) {
  const line = document.querySelector("#problem");
  line.textContent = problem;
  line.hidden = !problem;
}

async function askForToken() {
  login.showModal();
  await new Promise((done) => login.addEventListener("close", done, { once: true }));
  sessionStorage.setItem("token", document.querySelector("#token").value);
}

async function request(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem("token");
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The server doesn't answer. Is it still running?");
    }
    if (response.ok) return response;
    if (response.status === 401) {
      await askForToken();
    } else if (response.status === 429) {
      await new Promise((done) => setTimeout(done, 1000 * Number(response.headers.get("Retry-After") || 1)));
    } else {
      const { error } = await response.json().catch(() => ({}));
      throw new Error(error || `The server answers with status ${response.status}.`);
    }
  }
}

export async function fetchJson(path, body) {
  const options = body && { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return (await request(path, options)).json();
}

export async function imageUrl(path) {
  return URL.createObjectURL(await (await request(path)).blob());
}

// Translate a file; gives the output, how long the server computed, and how long all of it took, in milliseconds.
export async function translate(file, { model, to, seed, signal }) {
  const query = new URLSearchParams({ model });
  if (to) query.set("to", to);
  if (seed !== undefined) query.set("seed", seed);
  const began = performance.now();
  const headers = { "Content-Type": "application/octet-stream" };
  const response = await request(`/v1/translate?${query}`, { method: "POST", body: file, headers, signal });
  const blob = await response.blob();
  const computed = Number(/dur=([\d.]+)/.exec(response.headers.get("Server-Timing") ?? "")?.[1] ?? 0);
  return { blob, computed, took: performance.now() - began };
}

// A function that runs once more if it was called while it ran: one run at a time, and the last one sees the last state.
export function oneAtATime(run) {
  let waiting = false, busy = false;
  return async () => {
    waiting = true;
    if (busy) return;
    busy = true;
    while (waiting) {
      waiting = false;
      await run();
    }
    busy = false;
  };
}

export function base64(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.split(",")[1]);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
}
