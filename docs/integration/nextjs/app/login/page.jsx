"use client";

import {useEffect, useRef, useState} from "react";
import {openCamera, picture} from "../../lib/camera.js";

export default function Login() {
  const video = useRef(null);
  const [message, tell] = useState("");

  useEffect(() => {
    openCamera(video.current).catch(() => tell("This page needs your camera."));
    const shown = video.current;
    return () => shown.srcObject?.getTracks().forEach((track) => track.stop());
  }, []);

  async function logIn(event) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    form.set("photo", await picture(video.current), "photo.jpg");
    const answer = await fetch("/api/faces/login", {method: "POST", body: form});
    const {name, problem} = await answer.json();
    tell(name ? `Hello, ${name}.` : problem);
  }

  return (
    <form onSubmit={logIn}>
      <label>Name <input name="name" autoComplete="username" required /></label>
      <video ref={video} muted playsInline />
      <button>Log in by face</button>
      <p role="alert">{message}</p>
    </form>
  );
}
