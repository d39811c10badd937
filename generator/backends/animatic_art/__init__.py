"""How the animatic draws: staging, camera, places, figures and the frames themselves."""
