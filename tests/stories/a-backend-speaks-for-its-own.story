# What a backend says of a life that another one runs is no news.
apply db@docker; app
engine process claims 2 1
engine docker claims 1 1
statuses
