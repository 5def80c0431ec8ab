// The videos: their labels and answers, and the list that opens where one clicks on a number.

const data = JSON.parse(document.getElementById("data").textContent);
const SHOWN_AT_ONCE = 100;

function decode(text, bytes) {
  const raw = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return bytes === 4 ? new Uint32Array(raw.buffer) : new Uint16Array(raw.buffer);
}

/** An element with properties and children; texts become text, never markup. */
function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const labels = decode(data.labels, data.bytes);
const answers = data.answers.map((text) => decode(text, data.bytes));
const probabilities = data.probabilities.map((text) => decode(text, 2));
const fileNames = data.videos === null ? null : data.videos.split("\n");
const videoNumbers = Array.from(labels.keys());

const answer = (folder, video) => answers[folder][video * data.kept];
const confidence = (folder, video) => probabilities[folder][video * data.kept];
const isRight = (folder, video) => answer(folder, video) === labels[video];
const fileName = (video) => (fileNames === null ? `video ${video + 1}` : fileNames[video]);
const percent = (value) => `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)}\u00a0%`;
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function link(video) {
  const name = fileName(video);
  if (data.root === null || fileNames === null) return name;
  const path = name.startsWith("/") ? name : `${data.root}/${name}`;
  const file = path.split("/").map(encodeURIComponent).join("/") + data.ending;
  return element("a", { href: file, textContent: name, target: "_blank" });
}

/** The first answers of a folder to a video, each with its probability. */
function answersOf(folder, video) {
  const row = element("div", { className: "answers" });
  if (data.folders.length > 1) row.append(element("span", { className: "soft" }, `${data.folders[folder]}:`));
  for (let place = 0; place < data.kept; place++) {
    const at = video * data.kept + place;
    const label = answers[folder][at];
    const tone = label === labels[video] ? "right" : place === 0 ? "wrong" : "soft";
    const said = `${data.classes[label]} ${percent(probabilities[folder][at] / data.scale)}`;
    row.append(element("span", { className: `${tone} ${place === 0 ? "first" : ""}` }, said));
  }
  return row;
}

function entry(video) {
  const strip = data.strips[video];
  return element(
    "div", { className: "video" },
    element("div", { className: "name" }, link(video)),
    element("div", { className: "small soft" }, `true class: ${data.classes[labels[video]]}`),
    ...data.folders.map((_, folder) => answersOf(folder, video)),
    strip ? element("img", { src: strip, alt: `frames of ${fileName(video)}` }) : null,
  );
}

const list = document.getElementById("list");
const listed = { videos: [], shown: 0 };

function showMore() {
  const place = document.getElementById("list-videos");
  place.querySelector(".more")?.remove();
  const next = listed.videos.slice(listed.shown, listed.shown + SHOWN_AT_ONCE);
  place.append(...next.map(entry));
  listed.shown += next.length;
  const left = listed.videos.length - listed.shown;
  if (left > 0) place.append(element("button", { className: "more", onclick: showMore }, `Show more (${left.toLocaleString("en")} left)`));
}

function fill(videos) {
  listed.videos = videos;
  listed.shown = 0;
  document.getElementById("list-videos").replaceChildren();
  document.getElementById("list-count").textContent = plural(videos.length, "video");
  showMore();
}

/** Opens the list of some videos, the wrong answers first, of these the most confident. */
function showVideos(title, videos, folder = 0) {
  const weight = (video) => (isRight(folder, video) ? -1 : 1) * (confidence(folder, video) + 1);
  const sorted = [...videos].sort((a, b) => weight(b) - weight(a) || a - b);
  const search = document.getElementById("list-search");
  search.value = "";
  search.oninput = () => {
    const wanted = search.value.toLowerCase();
    const says = (video) => `${fileName(video)}\n${data.classes[labels[video]]}\n${data.folders.map((_, f) => data.classes[answer(f, video)]).join("\n")}`;
    fill(sorted.filter((video) => says(video).toLowerCase().includes(wanted)));
  };
  document.getElementById("list-title").textContent = title;
  fill(sorted);
  list.showModal();
  document.getElementById("list-videos").scrollTop = 0;
}

document.getElementById("list-close").onclick = () => list.close();
list.onclick = (event) => event.target === list && list.close();
